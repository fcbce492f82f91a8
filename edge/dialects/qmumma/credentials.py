"""A team's own accounts at providers of quantum hardware, over HTTP: set, told of, forgotten, and never shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from qm.accounts.v1 import accounts_pb2 as pb

from edge.dialects.qmumma.ids import shown_user_id
from edge.dialects.qmumma.rendering import moment
from edge.dialects.qmumma.scalars import Moment, Name
from edge.errors import Refusal
from edge.exchange import Answer, Request, json_answer
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub

_PRINTED = "^[!-~]+$"
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class IbmCredentials(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An instance of IBM Quantum."""

    token: Annotated[str, Meta(description="The API key.", pattern=_PRINTED, max_length=2048)]
    instance: Annotated[str, Meta(description="The instance's CRN.", pattern=_PRINTED, max_length=2048)]
    channel: Annotated[
        Literal["ibm_quantum_platform", "ibm_cloud"], Meta(description="Which of IBM's clouds it belongs to.")
    ] = "ibm_quantum_platform"


class AwsCredentials(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Amazon Braket, and the bucket that it writes results to."""

    access_key_id: Annotated[str, Meta(description="The access key's id.", pattern="^[A-Z0-9]{16,128}$")]
    secret_access_key: Annotated[str, Meta(description="Its secret.", pattern=_PRINTED, max_length=2048)]
    region: Annotated[
        str, Meta(description="The region of simulators.", pattern="^[a-z]{2}(-[a-z]+)+-[0-9]$", examples=["us-east-1"])
    ]
    s3_bucket: Annotated[str, Meta(description="The bucket for results.", pattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]


class AzureCredentials(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An Azure Quantum workspace, reached as an application of its tenant."""

    subscription_id: Annotated[str, Meta(description="The subscription.", pattern=_UUID)]
    resource_group: Annotated[str, Meta(description="The resource group.", pattern="^[A-Za-z0-9_().-]{1,90}$")]
    workspace: Annotated[str, Meta(description="The workspace.", pattern="^[A-Za-z0-9-]{1,64}$")]
    tenant_id: Annotated[str, Meta(description="The tenant.", pattern=_UUID)]
    client_id: Annotated[str, Meta(description="The application.", pattern=_UUID)]
    client_secret: Annotated[str, Meta(description="The application's secret.", pattern=_PRINTED, max_length=2048)]


class IonqCredentials(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """IonQ Quantum Cloud."""

    api_key: Annotated[str, Meta(description="The API key.", pattern=_PRINTED, max_length=2048)]


class CredentialsNote(msgspec.Struct, kw_only=True):
    """What is told of credentials: never a part of them."""

    provider: Annotated[Name, Meta(description="The provider.", examples=["ibm"])]
    set_at: Annotated[Moment, Meta(description="When they were last set.")]
    set_by: Annotated[str, Meta(description="The user who set them.", pattern="^qm_user_[0-9a-f]{32}$")]
    last_used_at: (
        Annotated[Moment, Meta(description="When a job or a test last used them; absent where none did.")] | UnsetType
    ) = UNSET


Handler = Callable[[Request[Any, Any]], Awaitable[Answer]]


class Credentials:
    """The operations on credentials at providers, each for the provider that it is made with."""

    def __init__(self, accounts: AccountsServiceAsyncStub) -> None:
        """Call `accounts`, which keeps them."""
        self._accounts = accounts

    def reading(self, provider: str) -> Handler:
        """Answers `GET /v1/providers/{provider}/credentials`."""

        async def get(request: Request[Nothing, Nothing]) -> Answer:
            response = await self._accounts.ListProviderSecrets(
                pb.ListProviderSecretsRequest(team_id=request.requester.team_id, requester=request.requester)
            )
            for secret in response.secrets:
                if secret.provider == provider:
                    return json_answer(_note(secret))
            raise Refusal(404, f"The team has no credentials for {provider}.", reason="SECRET_NOT_FOUND")

        return get

    def setting(self, provider: str) -> Handler:
        """Answers `PUT /v1/providers/{provider}/credentials`."""

        async def put(request: Request[msgspec.Struct, Nothing]) -> Answer:
            credentials = pb.ProviderCredentials(**{provider: msgspec.to_builtins(request.body)})
            response = await self._accounts.SetProviderSecret(
                pb.SetProviderSecretRequest(
                    team_id=request.requester.team_id,
                    user_id=request.requester.user_id,
                    credentials=credentials,
                    requester=request.requester,
                )
            )
            return json_answer(_note(response.secret))

        return put

    def deleting(self, provider: str) -> Handler:
        """Answers `DELETE /v1/providers/{provider}/credentials`."""

        async def delete(request: Request[Nothing, Nothing]) -> Answer:
            await self._accounts.DeleteProviderSecret(
                pb.DeleteProviderSecretRequest(
                    team_id=request.requester.team_id,
                    user_id=request.requester.user_id,
                    provider=provider,
                    requester=request.requester,
                )
            )
            return Answer(204)

        return delete


def _note(secret: pb.ProviderSecret) -> CredentialsNote:
    return CredentialsNote(
        provider=secret.provider,
        set_at=moment(secret.set_time),
        set_by=shown_user_id(secret.set_by_user_id),
        last_used_at=moment(secret.last_use_time) if secret.HasField("last_use_time") else UNSET,
    )
