"""The declarations of the operations on credentials at providers: a path for each, for each has members of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from edge.dialects.qmumma.credentials import (
    AwsCredentials,
    AzureCredentials,
    Credentials,
    CredentialsNote,
    IbmCredentials,
    IonqCredentials,
)
from edge.dialects.qmumma.examples import one
from edge.operations import Operation, Outcome

_UUID = "0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f"


@dataclass(frozen=True)
class _Provider:
    """A provider of quantum hardware."""

    name: str
    title: str
    body: type[msgspec.Struct]
    example: dict[str, Any]


_PROVIDERS = (
    _Provider(
        "ibm",
        "IBM Quantum",
        IbmCredentials,
        {"token": "your-api-key", "instance": "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"},
    ),
    _Provider(
        "aws",
        "Amazon Braket",
        AwsCredentials,
        {
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": "your-secret",
            "region": "us-east-1",
            "s3_bucket": "amazon-braket-results",
        },
    ),
    _Provider(
        "azure",
        "Azure Quantum",
        AzureCredentials,
        {
            "subscription_id": _UUID,
            "resource_group": "quantum",
            "workspace": "lab",
            "tenant_id": _UUID,
            "client_id": _UUID,
            "client_secret": "your-secret",
        },
    ),
    _Provider("ionq", "IonQ", IonqCredentials, {"api_key": "your-api-key"}),
)
_FORBIDDEN = "Only an owner or admin of the team manages its credentials, and only with a live or enterprise key."


def credential_operations(credentials: Credentials) -> list[Operation]:
    """Everything under `/v1/providers`."""
    return [
        operation
        for provider in _PROVIDERS
        for operation in (_get(credentials, provider), _put(credentials, provider), _delete(credentials, provider))
    ]


def _get(credentials: Credentials, provider: _Provider) -> Operation:
    return Operation(
        id=f"get{provider.name.capitalize()}Credentials",
        method="GET",
        path=f"/v1/providers/{provider.name}/credentials",
        handler=credentials.reading(provider.name),
        tag="Providers",
        summary=f"See whether the team has an account at {provider.title}",
        description="Tells who set the credentials, and when they were used; never the credentials.",
        outcomes=(_outcome(provider),),
        errors={403: "Only an owner or admin of the team sees this.", 404: "The team has set none."},
    )


def _put(credentials: Credentials, provider: _Provider) -> Operation:
    return Operation(
        id=f"set{provider.name.capitalize()}Credentials",
        method="PUT",
        path=f"/v1/providers/{provider.name}/credentials",
        handler=credentials.setting(provider.name),
        tag="Providers",
        summary=f"Set the team's account at {provider.title}",
        description="Keeps the credentials encrypted, in place of earlier ones; live jobs of the team then run on the "
        "team's own account, which the provider bills. They are never answered, shown or logged again.",
        body=provider.body,
        body_examples=one(provider.title, provider.example),
        outcomes=(_outcome(provider),),
        errors={403: _FORBIDDEN},
    )


def _delete(credentials: Credentials, provider: _Provider) -> Operation:
    return Operation(
        id=f"delete{provider.name.capitalize()}Credentials",
        method="DELETE",
        path=f"/v1/providers/{provider.name}/credentials",
        handler=credentials.deleting(provider.name),
        tag="Providers",
        summary=f"Forget the team's account at {provider.title}",
        description="Answers the same where there are none. Jobs that run at the provider go on until they next need "
        "the account.",
        outcomes=(Outcome(status=204, description="There are none any more."),),
        errors={403: _FORBIDDEN},
    )


def _outcome(provider: _Provider) -> Outcome:
    note = {
        "provider": provider.name,
        "set_at": "2026-11-21T04:00:00.125000Z",
        "set_by": "qm_user_0199f0c2a4b87c1d9e5f3a2b1c0d4e60",
        "last_used_at": "2026-11-21T05:00:00.250000Z",
    }
    return Outcome(
        status=200, description="What is told of them.", kind=CredentialsNote, examples=one("Set and used", note)
    )
