"""Credentials at providers: set, listed, told to execution alone, and never readable at rest."""

from __future__ import annotations

import uuid

import pytest
from qm.accounts.v1 import accounts_pb2 as pb
from structlog.testing import capture_logs

from mesh.errors import Internal, InvalidArgument, NotFound, PermissionDenied
from tests.mesh.accounting import Accounts, requester

TOKEN = "ibm-token-that-must-never-show"
IBM = pb.ProviderCredentials(ibm=pb.IbmCredentials(token=TOKEN, instance="crn:v1:bluemix:public:quantum:x"))
IONQ = pb.ProviderCredentials(ionq=pb.IonqCredentials(api_key="ionq-key"))


async def set_secret(accounts: Accounts, user: pb.User, credentials: pb.ProviderCredentials = IBM) -> pb.ProviderSecret:
    request = pb.SetProviderSecretRequest(
        team_id=user.team_id, user_id=user.user_id, credentials=credentials, requester=requester(user)
    )
    return (await accounts.edge.SetProviderSecret(request)).secret


async def listed(accounts: Accounts, user: pb.User) -> pb.ListProviderSecretsResponse:
    return await accounts.edge.ListProviderSecrets(
        pb.ListProviderSecretsRequest(team_id=user.team_id, requester=requester(user))
    )


async def told(accounts: Accounts, team_id: str, provider: str = "ibm") -> pb.ProviderCredentials:
    request = pb.GetProviderSecretRequest(team_id=team_id, provider=provider, purpose="job/1")
    return (await accounts.execution.GetProviderSecret(request)).credentials


async def delete(accounts: Accounts, user: pb.User, provider: str = "ibm") -> None:
    request = pb.DeleteProviderSecretRequest(
        team_id=user.team_id, user_id=user.user_id, provider=provider, requester=requester(user)
    )
    await accounts.edge.DeleteProviderSecret(request)


async def test_credentials_are_told_to_execution_as_they_were_set(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    made = await set_secret(accounts, user)
    assert (made.provider, made.set_by_user_id, made.HasField("last_use_time")) == ("ibm", user.user_id, False)
    assert await told(accounts, user.team_id) == IBM


async def test_lists_and_the_audit_never_hold_the_credentials(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    await set_secret(accounts, user)
    await set_secret(accounts, user, IONQ)
    await told(accounts, user.team_id)
    await delete(accounts, user, "ionq")
    await delete(accounts, user, "ionq")  # a second time is no deed
    answer = await listed(accounts, user)
    assert [(secret.provider, secret.HasField("last_use_time")) for secret in answer.secrets] == [("ibm", True)]
    assert [(event.provider, event.action, event.user_id, event.purpose) for event in answer.events] == [
        ("ionq", pb.SECRET_ACTION_DELETED, user.user_id, ""),
        ("ibm", pb.SECRET_ACTION_USED, "", "job/1"),
        ("ionq", pb.SECRET_ACTION_SET, user.user_id, ""),
        ("ibm", pb.SECRET_ACTION_SET, user.user_id, ""),
    ]
    assert TOKEN not in str(answer)


async def test_no_row_of_the_database_holds_a_token(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    await set_secret(accounts, user)
    rows = await accounts.home.rows("SELECT * FROM provider_secrets WHERE team_id = $1", uuid.UUID(user.team_id))
    assert len(rows) == 1
    assert TOKEN.encode() not in rows[0]["sealed"]


async def test_the_last_credentials_stand(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    await set_secret(accounts, user)
    newer = pb.ProviderCredentials(ibm=pb.IbmCredentials(token="newer", instance="crn"))
    await set_secret(accounts, user, newer)
    assert await told(accounts, user.team_id) == newer
    assert len((await listed(accounts, user)).secrets) == 1


async def test_credentials_moved_to_another_team_do_not_open(accounts: Accounts) -> None:
    user, thief = [await accounts.user(await accounts.team()) for _ in range(2)]
    await set_secret(accounts, user)
    await set_secret(accounts, thief)
    await accounts.home.rows(
        "UPDATE provider_secrets SET sealed = (SELECT sealed FROM provider_secrets WHERE team_id = $1)"
        " WHERE team_id = $2 RETURNING 1",
        uuid.UUID(user.team_id),
        uuid.UUID(thief.team_id),
    )
    with capture_logs() as lines, pytest.raises(Internal) as refused:
        await told(accounts, thief.team_id)
    assert TOKEN not in str(refused.value) + str(lines)


async def test_only_owners_and_admins_manage_credentials(accounts: Accounts) -> None:
    team = await accounts.team()
    owner = await accounts.user(team)
    admin, member = [await accounts.user(team, role=role) for role in (pb.ROLE_ADMIN, pb.ROLE_MEMBER)]
    stranger = await accounts.user(await accounts.team())
    stranger.team_id = team.team_id
    await set_secret(accounts, admin)
    for user, reason in ((member, "ROLE_TOO_LOW"), (stranger, "NOT_A_MEMBER")):
        for work in (set_secret, delete, listed):
            with pytest.raises(PermissionDenied) as refused:
                await work(accounts, user)
            assert refused.value.reason == reason
    with pytest.raises(PermissionDenied) as refused:
        await accounts.operator.SetProviderSecret(
            pb.SetProviderSecretRequest(team_id=team.team_id, user_id=member.user_id, credentials=IBM)
        )
    assert refused.value.reason == "ROLE_TOO_LOW"
    await delete(accounts, owner)
    with pytest.raises(NotFound) as missing:
        await told(accounts, team.team_id)
    assert missing.value.reason == "SECRET_NOT_FOUND"


async def test_execution_alone_is_told(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    await set_secret(accounts, user)
    request = pb.GetProviderSecretRequest(team_id=user.team_id, provider="ibm", purpose="x")
    for stub in (accounts.edge, accounts.operator):
        with pytest.raises(PermissionDenied):
            await stub.GetProviderSecret(request)


@pytest.mark.parametrize(
    "credentials",
    [
        pb.ProviderCredentials(),
        pb.ProviderCredentials(ibm=pb.IbmCredentials(token="with space", instance="crn")),
        pb.ProviderCredentials(ibm=pb.IbmCredentials(token="x", instance="crn", channel="elsewhere")),
        pb.ProviderCredentials(ionq=pb.IonqCredentials(api_key="")),
        pb.ProviderCredentials(
            aws=pb.AwsCredentials(
                access_key_id="A" * 20, secret_access_key="s", region="evil.example/", s3_bucket="bucket"
            )
        ),
    ],
)
async def test_credentials_that_no_provider_has_are_refused(
    accounts: Accounts, credentials: pb.ProviderCredentials
) -> None:
    user = await accounts.user(await accounts.team())
    with pytest.raises(InvalidArgument):
        await set_secret(accounts, user, credentials)
