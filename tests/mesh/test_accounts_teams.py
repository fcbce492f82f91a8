"""Teams and roles: who may do what, what a change tells, and that a team never loses its last owner."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1 import teams_pb2
from qm.audit.v1.audit_pb2 import AuditEvent, AuditEvents
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, ENVIRONMENT_TEST

from deploy.local.bootstrap import create_credentials
from mesh.config import EventsConfig
from mesh.errors import Conflict, InvalidArgument, MeshError, NotFound, PermissionDenied, Unauthenticated
from mesh.events import Events
from services.accounts.__main__ import wire
from services.accounts.config import AccountsConfig
from tests.conftest import RunningNats
from tests.mesh.accounting import Accounts, key_file, key_request, requester, stub, user_request

ROLES = {"owner": pb.ROLE_OWNER, "admin": pb.ROLE_ADMIN, "member": pb.ROLE_MEMBER}


async def outcome(work: Awaitable[object]) -> str:
    """Empty, or why it was refused."""
    try:
        await work
    except MeshError as error:
        return error.reason
    return ""


def set_role(
    accounts: Accounts, actor: pb.User, user: pb.User, role: pb.Role.ValueType, **rest: object
) -> Awaitable[object]:
    return accounts.teams_by_edge.SetRole(
        teams_pb2.SetRoleRequest(
            team_id=user.team_id,
            user_id=user.user_id,
            role=role,
            requester=requester(actor, **rest),  # type: ignore[arg-type]
        )
    )


def remove(accounts: Accounts, actor: pb.User, user: pb.User) -> Awaitable[teams_pb2.RemoveUserResponse]:
    request = teams_pb2.RemoveUserRequest(team_id=user.team_id, user_id=user.user_id, requester=requester(actor))
    return accounts.teams_by_edge.RemoveUser(request)


def add(accounts: Accounts, actor: pb.User, role: pb.Role.ValueType) -> Awaitable[object]:
    request = user_request(pb.Team(team_id=actor.team_id), role=role)
    request.requester.CopyFrom(requester(actor))
    return accounts.edge.CreateUser(request)


async def people(accounts: Accounts) -> dict[str, pb.User]:
    """A team with two of each role."""
    team = await accounts.team()
    roles = ROLES | {f"other {word}": role for word, role in ROLES.items()}
    users = await asyncio.gather(*(accounts.user(team, role=role) for role in roles.values()))
    return dict(zip(roles, users, strict=True))


LOW = "ROLE_TOO_LOW"
TABLE: list[tuple[str, Callable[[Accounts, dict[str, pb.User], pb.User], Awaitable[object]], dict[str, str]]] = [
    ("add a member", lambda a, _p, me: add(a, me, pb.ROLE_MEMBER), {"member": LOW}),
    ("add an admin", lambda a, _p, me: add(a, me, pb.ROLE_ADMIN), {"member": LOW}),
    ("add an owner", lambda a, _p, me: add(a, me, pb.ROLE_OWNER), {"member": LOW, "admin": LOW}),
    ("promote", lambda a, p, me: set_role(a, me, p["other member"], pb.ROLE_ADMIN), {"member": LOW}),
    ("crown", lambda a, p, me: set_role(a, me, p["other admin"], pb.ROLE_OWNER), {"member": LOW, "admin": LOW}),
    ("dethrone", lambda a, p, me: set_role(a, me, p["other owner"], pb.ROLE_MEMBER), {"member": LOW, "admin": LOW}),
    ("remove a member", lambda a, p, me: remove(a, me, p["other member"]), {"member": LOW}),
    ("remove an owner", lambda a, p, me: remove(a, me, p["other owner"]), {"member": LOW, "admin": LOW}),
    ("leave", lambda a, _p, me: remove(a, me, me), {}),
]


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_do_what_the_table_says(accounts: Accounts, role: str) -> None:
    async def refusal(work: Callable[..., Awaitable[object]]) -> str:
        users = await people(accounts)
        return await outcome(work(accounts, users, users[role]))

    refusals = await asyncio.gather(*(refusal(work) for _, work, _ in TABLE))
    found = dict(zip((what for what, _, _ in TABLE), refusals, strict=True))
    assert found == {what: refused.get(role, "") for what, _, refused in TABLE}


async def test_a_test_key_changes_no_people(accounts: Accounts) -> None:
    users = await people(accounts)
    by_test_key = set_role(accounts, users["owner"], users["member"], pb.ROLE_ADMIN, environment=ENVIRONMENT_TEST)
    assert await outcome(by_test_key) == "KEY_TOO_LOW"


async def test_who_is_not_of_the_team_may_nothing(accounts: Accounts) -> None:
    users, strangers = await people(accounts), await people(accounts)
    stranger = strangers["owner"]
    request = teams_pb2.SetRoleRequest(
        team_id=users["member"].team_id,
        user_id=users["member"].user_id,
        role=pb.ROLE_ADMIN,
        requester=requester(stranger),
    )
    assert await outcome(accounts.teams_by_edge.SetRole(request)) == "NOT_A_MEMBER"
    request.team_id = stranger.team_id
    assert await outcome(accounts.teams_by_edge.SetRole(request)) == "USER_NOT_FOUND"
    request.ClearField("requester")
    assert await outcome(accounts.teams_by_edge.SetRole(request)) == "REQUESTER_MISSING"


async def test_the_last_owner_neither_leaves_nor_steps_down_not_even_two_at_once(accounts: Accounts) -> None:
    users = await people(accounts)
    owners = [users["owner"], users["other owner"]]
    outcomes = await asyncio.gather(*(outcome(remove(accounts, owner, owner)) for owner in owners))
    assert sorted(outcomes) == ["", "LAST_OWNER"]
    last = owners[outcomes.index("LAST_OWNER")]
    with pytest.raises(Conflict, match="make another user an owner first"):
        await set_role(accounts, last, last, pb.ROLE_MEMBER)
    by_operator = teams_pb2.RemoveUserRequest(team_id=last.team_id, user_id=last.user_id)
    assert await outcome(accounts.teams.RemoveUser(by_operator)) == "LAST_OWNER"


async def test_who_leaves_has_no_keys_any_more_and_may_come_back(accounts: Accounts) -> None:
    users = await people(accounts)
    gone = users["member"]
    made = await accounts.key(gone)
    assert (await remove(accounts, users["admin"], gone)).revoked_key_count == 1
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(made.secret)
    with pytest.raises(NotFound):
        await accounts.key(gone)
    listed = await accounts.teams_by_edge.ListUsers(
        teams_pb2.ListUsersRequest(team_id=gone.team_id, requester=requester(users["other member"]))
    )
    assert [user.role for user in listed.users] == [1, 1, 2, 2, 3]
    again = await accounts.user(pb.Team(team_id=gone.team_id), email=gone.email.upper())
    assert again.user_id != gone.user_id


async def test_a_suspended_team_is_refused_as_such_until_it_is_resumed(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    good, bad = await accounts.key(user), await accounts.key(user)
    await accounts.revoke(bad.key)
    suspension = teams_pb2.SuspendTeamRequest(team_id=user.team_id, reason="unpaid")
    for _ in range(2):
        assert (await accounts.teams.SuspendTeam(suspension)).team.suspended
    with pytest.raises(PermissionDenied) as refusal:
        await accounts.authenticate(good.secret)
    assert refusal.value.reason == "TEAM_SUSPENDED"
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(bad.secret)
    await accounts.teams.ResumeTeam(teams_pb2.ResumeTeamRequest(team_id=user.team_id))
    await accounts.authenticate(good.secret)


async def test_enterprise_keys_hold_while_the_team_is_of_that_plan(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team("enterprise"))
    made = await accounts.key(user, 3)
    for plan, held in (("commercial", False), ("enterprise", True)):
        await accounts.teams.SetPlan(teams_pb2.SetPlanRequest(team_id=user.team_id, plan=plan))
        assert (await outcome(accounts.authenticate(made.secret)) == "") == held


async def test_teams_are_listed_newest_first_and_found_by_name_or_address(accounts: Accounts) -> None:
    teams = [await accounts.team() for _ in range(3)][::-1]
    page = await accounts.teams.ListTeams(teams_pb2.ListTeamsRequest(page_size=2))
    assert (list(page.teams), page.has_more) == (teams[:2], True)
    page = await accounts.teams.ListTeams(teams_pb2.ListTeamsRequest(after_team_id=teams[1].team_id, page_size=1))
    assert list(page.teams) == teams[2:]
    user = await accounts.user(teams[1])
    for query in (user.email.upper(), user.email):
        found = await accounts.teams.ListTeams(teams_pb2.ListTeamsRequest(query=query))
        assert list(found.teams) == [teams[1]]
    assert not (await accounts.teams.ListTeams(teams_pb2.ListTeamsRequest(query="100%"))).teams


async def test_the_audit_trail_hears_who_changed_what_from_what_to_what_and_no_secret(
    accounts: Accounts, nats_server: RunningNats
) -> None:
    heard: asyncio.Queue[AuditEvent] = asyncio.Queue()
    payloads: list[bytes] = []

    async def hear(_subject: str, payload: bytes) -> None:
        payloads.append(payload)
        for event in AuditEvents.FromString(payload).events:
            if event.action not in {"team.created", "user.added"}:  # of the people whom the test begins with
                heard.put_nowait(event)

    trail = await Events.connect(nats_server.url, nats_server.identity("operator"))
    users = await people(accounts)
    owner, team_id = users["owner"], users["owner"].team_id
    await trail.subscribe(f"audit.event.{team_id}", hear)
    made = await accounts.key(owner)
    rotated = await accounts.edge.RotateKey(
        pb.RotateKeyRequest(
            request_id="1", team_id=team_id, key_id=made.key.key_id, requester=requester(owner, ENVIRONMENT_LIVE)
        )
    )
    await accounts.revoke(rotated.key)
    await set_role(accounts, owner, users["admin"], pb.ROLE_MEMBER)
    await remove(accounts, owner, users["member"])
    await accounts.teams.SetPlan(teams_pb2.SetPlanRequest(team_id=team_id, plan="academic"))
    await accounts.teams.SuspendTeam(teams_pb2.SuspendTeamRequest(team_id=team_id, reason="unpaid"))
    events = [await asyncio.wait_for(heard.get(), 5) for _ in range(7)]
    by_operator = {"by": "operator"}
    key = {"name": "ci", "environment": "live", "user": owner.user_id}
    assert {(event.action, event.object_id, event.user_id) for event in events} == {
        ("key.created", made.key.key_id, ""),
        ("key.rotated", made.key.key_id, owner.user_id),
        ("key.revoked", rotated.key.key_id, ""),
        ("user.role_changed", users["admin"].user_id, owner.user_id),
        ("user.removed", users["member"].user_id, owner.user_id),
        ("team.plan_changed", team_id, ""),
        ("team.suspended", team_id, ""),
    }
    told = {event.action: dict(event.details) for event in events}
    assert told["key.created"] == told["key.revoked"] == by_operator | key
    assert told["user.role_changed"] == {"role_before": "admin", "role_after": "member"}
    assert told["user.removed"] == {"role_before": "member", "revoked_keys": "0"}
    assert told["team.plan_changed"] == by_operator | {"plan_before": "student", "plan_after": "academic"}
    assert told["team.suspended"] == by_operator | {"reason": "unpaid"}
    assert not any(secret.encode() in payload for payload in payloads for secret in (made.secret, rotated.secret))
    await trail.close()


async def test_a_secret_is_told_again_for_a_day_and_then_refused(accounts: Accounts) -> None:
    request = key_request(await accounts.user(await accounts.team()))
    made = await accounts.operator.CreateKey(request)
    [row] = await accounts.home.rows("SELECT sealed FROM requests WHERE request_id = $1", request.request_id)
    assert made.secret.encode() not in row["sealed"]
    assert (await accounts.operator.CreateKey(request)).secret == made.secret
    for change in ("kid = 'of another key-encryption key'", "sealed = NULL"):
        await accounts.home.rows(f"UPDATE requests SET {change} WHERE request_id = $1", request.request_id)  # noqa: S608
        with pytest.raises(Conflict) as refusal:
            await accounts.operator.CreateKey(request)
        assert (refusal.value.reason, refusal.value.field) == ("SECRET_GONE", "request_id")


async def test_a_team_has_at_most_a_thousand_keys_that_hold(accounts: Accounts) -> None:
    user = await accounts.user(await accounts.team())
    await accounts.home.rows(
        "INSERT INTO keys (key_id, team_id, user_id, name, environment, hint, digest, create_time)"
        " SELECT gen_random_uuid(), $1, $2, 'x', 1, 'x', uuid_send(gen_random_uuid()), now()"
        " FROM generate_series(1, 999)",
        uuid.UUID(user.team_id),
        uuid.UUID(user.user_id),
    )
    last = await accounts.key(user)
    assert await outcome(accounts.key(user)) == "TOO_MANY_KEYS"
    await accounts.revoke(last.key)
    await accounts.key(user)


async def test_a_lifetime_beyond_all_years_is_refused(accounts: Accounts) -> None:
    request = key_request(await accounts.user(await accounts.team()))
    request.lifetime.seconds = 300_000_000_000
    with pytest.raises(InvalidArgument) as refusal:
        await accounts.operator.CreateKey(request)
    assert refusal.value.reason == "TIME_OUT_OF_RANGE"


async def test_a_new_pepper_takes_over_the_keys_that_are_used(
    accounts: Accounts, nats_server: RunningNats, scratch: Path
) -> None:
    user = await accounts.user(await accounts.team())
    used, idle = [await accounts.key(user) for _ in range(2)]
    fresh = scratch / "new-pepper"
    fresh.write_bytes(b"n" * 32)

    def config(*older: Path) -> AccountsConfig:
        return accounts.home.config(
            AccountsConfig,
            pepper_file=fresh,
            older_pepper_files=older,
            key_encryption_key_file=key_file(scratch),
            events=EventsConfig(url=nats_server.url),
        )

    async with accounts.home.serve(config(scratch / "pepper"), wire) as way:
        peppers = (await stub(way("operator")).ListPeppers(pb.ListPeppersRequest())).peppers
        assert [(pepper.current, pepper.known, pepper.key_count > 0) for pepper in peppers[:2]] == [
            (True, True, False),
            (False, True, True),
        ]
        await stub(way("edge")).AuthenticateKey(pb.AuthenticateKeyRequest(secret=used.secret))
    async with accounts.home.serve(config(), wire) as way:
        edge = stub(way("edge"))
        await edge.AuthenticateKey(pb.AuthenticateKeyRequest(secret=used.secret))
        with pytest.raises(Unauthenticated):
            await edge.AuthenticateKey(pb.AuthenticateKeyRequest(secret=idle.secret))
        peppers = (await stub(way("operator")).ListPeppers(pb.ListPeppersRequest())).peppers
        assert not any(pepper.known for pepper in peppers[1:])
        assert peppers[0].key_count == 1


async def test_the_first_keys_are_made_once_and_end_when_their_file_is_lost(
    accounts: Accounts, nats_server: RunningNats, scratch: Path
) -> None:
    config = accounts.home.config(
        AccountsConfig,
        pepper_file=scratch / "pepper",
        key_encryption_key_file=key_file(scratch),
        events=EventsConfig(url=nats_server.url),
    )
    async with accounts.home.serve(config, wire) as way:
        channel = way("operator")
        lost, found = [
            (await create_credentials(channel._target, channel._identity, "http://localhost")).qmumma for _ in range(2)
        ]
    first = (await accounts.authenticate(found.live)).requester
    assert first.team_id == (await accounts.authenticate(found.test)).requester.team_id
    for secret in (lost.live, lost.test):
        with pytest.raises(Unauthenticated):
            await accounts.authenticate(secret)
    [team] = (await accounts.teams.ListTeams(teams_pb2.ListTeamsRequest(query="demo@qmumma.example"))).teams
    users = (await accounts.teams.ListUsers(teams_pb2.ListUsersRequest(team_id=team.team_id))).users
    assert [(user.user_id, user.role) for user in users] == [(first.user_id, pb.ROLE_OWNER)]
