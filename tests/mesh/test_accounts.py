"""Accounts through its RPCs: mTLS, a real PostgreSQL and a real JetStream."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.events_pb2 import KeyRevoked
from qm.type.v1.requester_pb2 import ENVIRONMENT_ENTERPRISE, ENVIRONMENT_LIVE, ENVIRONMENT_TEST, Environment

from mesh.config import ConfigError, EventsConfig
from mesh.database import retry_while_unavailable
from mesh.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unavailable
from mesh.events import Events
from services.accounts.__main__ import wire
from services.accounts.config import AccountsConfig
from tests.conftest import RunningNats
from tests.mesh.accounting import Accounts, key_file, key_request, stub, timestamp, user_request


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [(ENVIRONMENT_LIVE, "qm_live_sk_"), (ENVIRONMENT_TEST, "qm_test_sk_"), (ENVIRONMENT_ENTERPRISE, "qm_ent_sk_")],
)
async def test_a_secret_tells_its_team_user_plan_and_environment(
    accounts: Accounts, environment: Environment.ValueType, prefix: str
):
    team = await accounts.team("enterprise")
    user = await accounts.user(team)
    made = await accounts.key(user, environment)
    assert made.secret.startswith(prefix)
    assert made.key.hint == made.secret[: len(prefix) + 4]
    answer = await accounts.authenticate(made.secret)
    requester = answer.requester
    assert (requester.team_id, requester.user_id, requester.key_id) == (team.team_id, user.user_id, made.key.key_id)
    assert (requester.plan, requester.environment) == ("enterprise", environment)
    assert not answer.HasField("expire_time")


async def test_every_way_of_being_refused_looks_the_same(accounts: Accounts):
    team = await accounts.team()
    user = await accounts.user(team)
    revoked, expired = [await accounts.key(user) for _ in range(2)]
    await accounts.revoke(revoked.key)
    await accounts.home.rows(
        "UPDATE keys SET expire_time = now() - interval '1 second' WHERE key_id = $1", expired.key.key_id
    )
    refusals = []
    for secret in (revoked.secret, expired.secret, "qm_live_sk_" + "a" * 43, "nonsense", "a\x00b"):
        with pytest.raises(Unauthenticated) as refusal:
            await accounts.authenticate(secret)
        refusals.append((refusal.value.message, refusal.value.reason, refusal.value.metadata))
    assert refusals == [("The API key is not valid.", "INVALID_KEY", {})] * 5


async def test_a_secret_of_another_environment_is_unknown(accounts: Accounts):
    made = await accounts.key(await accounts.user(await accounts.team()), ENVIRONMENT_TEST)
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(made.secret.replace("qm_test_", "qm_live_"))


async def test_no_table_holds_a_secret(accounts: Accounts):
    made = await accounts.key(await accounts.user(await accounts.team()))
    digits = made.secret.removeprefix("qm_live_sk_")
    tables = await accounts.home.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'accounts'")
    for table in tables:
        rows = await accounts.home.rows(f"SELECT row::text AS text FROM {table['tablename']} AS row")  # noqa: S608
        assert not any(digits[4:] in row["text"] or digits[4:].encode().hex() in row["text"] for row in rows)


async def test_a_key_may_expire_by_itself(accounts: Accounts):
    expire_time = timestamp(hours=1)
    made = await accounts.key(await accounts.user(await accounts.team()), expire_time=expire_time)
    assert made.key.expire_time.ToMicroseconds() == expire_time.ToMicroseconds()
    assert (await accounts.authenticate(made.secret)).expire_time == made.key.expire_time


@pytest.mark.parametrize(
    ("expire_time", "reason"),
    [(timestamp(hours=-1), "EXPIRE_TIME_PAST"), (Timestamp(seconds=2**62), "TIME_OUT_OF_RANGE")],
)
async def test_a_key_cannot_expire_at_an_impossible_time(accounts: Accounts, expire_time: Timestamp, reason: str):
    user = await accounts.user(await accounts.team())
    with pytest.raises(InvalidArgument) as refusal:
        await accounts.key(user, expire_time=expire_time)
    assert (refusal.value.reason, refusal.value.field) == (reason, "expire_time")


async def test_repeats_return_the_first_answer(accounts: Accounts):
    team_request = pb.CreateTeamRequest(request_id=str(uuid.uuid4()), name="Team", plan="student")
    teams = await asyncio.gather(*(accounts.operator.CreateTeam(team_request) for _ in range(8)))
    assert len({team.team.team_id for team in teams}) == 1
    person = user_request(teams[0].team)
    users = await asyncio.gather(*(accounts.operator.CreateUser(person) for _ in range(8)))
    assert len({user.user.user_id for user in users}) == 1
    request = key_request(users[0].user)
    keys = await asyncio.gather(*(accounts.operator.CreateKey(request) for _ in range(8)))
    assert len({key.key.key_id for key in keys}) == 1
    assert len({key.secret for key in keys}) == 1
    assert sorted(key.replayed for key in keys) == [False] + [True] * 7
    assert (await accounts.authenticate(keys[0].secret)).requester.key_id == keys[0].key.key_id


async def test_a_request_id_used_for_another_request_is_refused(accounts: Accounts):
    team = await accounts.team()
    user = await accounts.user(team)
    first = key_request(user)
    await accounts.operator.CreateKey(first)
    for second, call in (
        (key_request(user, request_id=first.request_id, name="other"), accounts.operator.CreateKey),
        (key_request(user, ENVIRONMENT_TEST, request_id=first.request_id), accounts.operator.CreateKey),
    ):
        with pytest.raises(Conflict) as refusal:
            await call(second)
        assert refusal.value.reason == "REQUEST_ID_REUSED"


async def test_request_ids_of_different_teams_do_not_meet(accounts: Accounts):
    users = [await accounts.user(await accounts.team()) for _ in range(2)]
    made = [await accounts.key(user, request_id="the same") for user in users]
    assert all(each.secret for each in made)


async def test_an_address_belongs_to_one_user_whatever_its_case(accounts: Accounts):
    team, other = await accounts.team(), await accounts.team()
    user = await accounts.user(team)
    with pytest.raises(Conflict) as refusal:
        await accounts.operator.CreateUser(user_request(other, email=user.email.upper()))
    assert (refusal.value.reason, refusal.value.field) == ("EMAIL_TAKEN", "email")


async def test_a_refused_request_can_be_sent_again_with_the_same_id(accounts: Accounts):
    team = await accounts.team()
    user = await accounts.user(team)
    refused = user_request(team, email=user.email)
    with pytest.raises(Conflict):
        await accounts.operator.CreateUser(refused)
    again = user_request(team, request_id=refused.request_id)
    assert (await accounts.operator.CreateUser(again)).user.email == again.email


async def test_users_and_keys_need_their_team(accounts: Accounts):
    team, other = await accounts.team(), await accounts.team()
    user = await accounts.user(team)
    with pytest.raises(NotFound) as no_team:
        await accounts.operator.CreateUser(user_request(pb.Team(team_id=str(uuid.uuid4()))))
    with pytest.raises(NotFound) as no_user:
        await accounts.key(user, team_id=other.team_id)
    assert (no_team.value.reason, no_user.value.reason) == ("TEAM_NOT_FOUND", "USER_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CreateTeam", pb.CreateTeamRequest(request_id="r", name="a\x00b", plan="student")),
        ("CreateTeam", pb.CreateTeamRequest(request_id="\x00", name="ab", plan="student")),
        ("CreateUser", user_request(pb.Team(team_id=str(uuid.uuid4())), name="a\nb")),
        ("CreateKey", key_request(pb.User(team_id=str(uuid.uuid4()), user_id=str(uuid.uuid4())), name="\x1b[2J")),
    ],
)
async def test_control_characters_are_refused_before_the_database(accounts: Accounts, method: str, request_: Message):
    with pytest.raises(InvalidArgument) as refusal:
        await getattr(accounts.operator, method)(request_)
    assert refusal.value.reason == "INVALID_CHARACTER"


async def test_keys_are_listed_newest_first_with_the_revoked_ones_and_without_other_teams(accounts: Accounts):
    user = await accounts.user(await accounts.team())
    await accounts.key(await accounts.user(await accounts.team()))
    made = [(await accounts.key(user, name=f"key {number}")).key for number in range(3)]
    made[1] = await accounts.revoke(made[1])
    listed = await accounts.operator.ListKeys(pb.ListKeysRequest(team_id=user.team_id))
    assert list(listed.keys) == made[::-1]


async def test_revoking_is_for_good_and_for_the_own_team_alone(accounts: Accounts):
    user, other = [await accounts.user(await accounts.team()) for _ in range(2)]
    made = await accounts.key(user)
    with pytest.raises(NotFound) as refusal:
        await accounts.operator.RevokeKey(pb.RevokeKeyRequest(team_id=other.team_id, key_id=made.key.key_id))
    assert refusal.value.reason == "KEY_NOT_FOUND"
    await accounts.authenticate(made.secret)
    revoked = await accounts.revoke(made.key)
    assert revoked.HasField("revoke_time")
    assert await accounts.revoke(made.key) == revoked


async def test_edges_hear_of_a_revocation_once(accounts: Accounts, nats_server: RunningNats):
    heard: asyncio.Queue[tuple[str, KeyRevoked]] = asyncio.Queue()

    async def hear(subject: str, payload: bytes) -> None:
        heard.put_nowait((subject, KeyRevoked.FromString(payload)))

    edge = await Events.connect(nats_server.url, nats_server.identity("edge"))
    await edge.subscribe("accounts.key.revoked.>", hear)
    user = await accounts.user(await accounts.team())
    keys = [(await accounts.key(user)).key for _ in range(2)]
    first = await accounts.revoke(keys[0])
    await accounts.revoke(keys[0])
    second = await accounts.revoke(keys[1])
    for revoked in (first, second):
        subject, event = await asyncio.wait_for(heard.get(), 5)
        assert subject == f"accounts.key.revoked.{revoked.key_id}"
        assert (event.key_id, event.create_time) == (revoked.key_id, revoked.revoke_time)
    assert heard.empty()

    async def emptied() -> None:
        if await accounts.home.rows("SELECT id FROM outbox"):
            raise Unavailable("rows are left", reason="ROWS_LEFT")

    await retry_while_unavailable(emptied, 5)
    await edge.close()


async def test_the_edge_may_not_make_teams(accounts: Accounts):
    with pytest.raises(PermissionDenied):
        await accounts.edge.CreateTeam(pb.CreateTeamRequest(request_id="r", name="Team", plan="student"))


async def test_a_pepper_that_is_missing_refuses_to_start(accounts: Accounts, nats_server: RunningNats, scratch: Path):
    config = accounts.home.config(
        AccountsConfig,
        pepper_file=scratch / "nowhere",
        key_encryption_key_file=key_file(scratch),
        events=EventsConfig(url=nats_server.url),
    )
    with pytest.raises(ConfigError, match="nowhere"):
        async with accounts.home.serve(config, wire) as way:
            await stub(way("edge")).ListKeys(pb.ListKeysRequest(team_id=str(uuid.uuid4())), timeout=0.1)
