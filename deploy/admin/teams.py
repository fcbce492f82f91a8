"""Teams and their users."""

from __future__ import annotations

import argparse
import uuid

from qm.accounts.v1 import accounts_pb2, teams_pb2
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.accounts.v1.teams_pb2_grpc import TeamsServiceStub

from deploy.admin.command import TEAM, Command, Shown, Thing, argument, identifier
from deploy.admin.output import time
from deploy.admin.plans import require_plan
from deploy.admin.session import Session
from mesh.errors import NotFound

_ROLES = {"owner": accounts_pb2.ROLE_OWNER, "admin": accounts_pb2.ROLE_ADMIN, "member": accounts_pb2.ROLE_MEMBER}
_WORDS = {number: word for word, number in _ROLES.items()}


def team_thing(team: accounts_pb2.Team) -> Thing:
    """A team as it is shown."""
    return {
        "team_id": team.team_id,
        "name": team.name,
        "plan": team.plan,
        "suspended": team.suspended,
        "created_at": time(team.create_time),
    }


async def user_of(session: Session, team_id: str, who: str) -> accounts_pb2.User:
    """The user of a team with an id or an address; raises NotFound."""
    request = teams_pb2.ListUsersRequest(team_id=team_id)
    users = (await TeamsServiceStub(session.channel("accounts")).ListUsers(request)).users
    for user in users:
        if who.lower() in {user.user_id, user.email.lower()}:
            return user
    raise NotFound(f"The team has no user {who}.", reason="USER_NOT_FOUND")


async def _create(session: Session, given: argparse.Namespace) -> Shown:
    await require_plan(session, given.plan)
    accounts = AccountsServiceStub(session.channel("accounts"))
    request_id = given.request_id or str(uuid.uuid4())
    made = await accounts.CreateTeam(
        accounts_pb2.CreateTeamRequest(request_id=request_id, name=given.name, plan=given.plan)
    )
    owner = await accounts.CreateUser(_addition(request_id, made.team.team_id, given.owner, given.owner_name, "owner"))
    return {**team_thing(made.team), "owner_id": owner.user.user_id, "owner": owner.user.email}


async def _list(session: Session, given: argparse.Namespace) -> Shown:
    request = teams_pb2.ListTeamsRequest(page_size=given.limit, query=given.query, after_team_id=given.after or "")
    page = await TeamsServiceStub(session.channel("accounts")).ListTeams(request)
    return [team_thing(team) for team in page.teams]


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    teams = TeamsServiceStub(session.channel("accounts"))
    team = (await teams.GetTeam(teams_pb2.GetTeamRequest(team_id=given.team))).team
    return {**team_thing(team), "users": await _users(session, given)}


async def _suspend(session: Session, given: argparse.Namespace) -> Shown:
    request = teams_pb2.SuspendTeamRequest(team_id=given.team, reason=given.reason)
    return team_thing((await TeamsServiceStub(session.channel("accounts")).SuspendTeam(request)).team)


async def _resume(session: Session, given: argparse.Namespace) -> Shown:
    request = teams_pb2.ResumeTeamRequest(team_id=given.team)
    return team_thing((await TeamsServiceStub(session.channel("accounts")).ResumeTeam(request)).team)


async def _set_plan(session: Session, given: argparse.Namespace) -> Shown:
    await require_plan(session, given.plan)
    request = teams_pb2.SetPlanRequest(team_id=given.team, plan=given.plan)
    return team_thing((await TeamsServiceStub(session.channel("accounts")).SetPlan(request)).team)


async def _users(session: Session, given: argparse.Namespace) -> list[Thing]:
    request = teams_pb2.ListUsersRequest(team_id=given.team)
    users = (await TeamsServiceStub(session.channel("accounts")).ListUsers(request)).users
    return [_user_thing(user) for user in users]


async def _add_user(session: Session, given: argparse.Namespace) -> Shown:
    request_id = given.request_id or str(uuid.uuid4())
    request = _addition(request_id, given.team, given.email, given.name, given.role)
    return _user_thing((await AccountsServiceStub(session.channel("accounts")).CreateUser(request)).user)


async def _set_role(session: Session, given: argparse.Namespace) -> Shown:
    user = await user_of(session, given.team, given.user)
    request = teams_pb2.SetRoleRequest(team_id=given.team, user_id=user.user_id, role=_ROLES[given.role])
    return _user_thing((await TeamsServiceStub(session.channel("accounts")).SetRole(request)).user)


async def _remove_user(session: Session, given: argparse.Namespace) -> Shown:
    user = await user_of(session, given.team, given.user)
    request = teams_pb2.RemoveUserRequest(team_id=given.team, user_id=user.user_id)
    removed = await TeamsServiceStub(session.channel("accounts")).RemoveUser(request)
    return {"removed": user.email, "revoked_keys": removed.revoked_key_count}


def _addition(request_id: str, team_id: str, email: str, name: str, role: str) -> accounts_pb2.CreateUserRequest:
    return accounts_pb2.CreateUserRequest(
        request_id=request_id, team_id=team_id, email=email, name=name or email, role=_ROLES[role]
    )


def _user_thing(user: accounts_pb2.User) -> Thing:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "name": user.name,
        "role": _WORDS[user.role],
        "created_at": time(user.create_time),
    }


_PLAN = "a plan, as `plans list` names it"
_USER = argument("user", "the user's id or address")
_ROLE = argument("role", "owner, admin or member", choices=list(_ROLES))
_REQUEST_ID = argument("--request-id", "makes a repeat answer the first result", default="")
COMMANDS = (
    Command(
        group="teams",
        name="create",
        summary="make a team and its owner",
        run=_create,
        arguments=(
            argument("name", "what to call it"),
            argument("--plan", _PLAN, required=True),
            argument("--owner", "the owner's address", required=True, metavar="EMAIL"),
            argument("--owner-name", "what to call the owner; the address where it is not given", default=""),
            _REQUEST_ID,
        ),
        examples=("teams create 'Example Lab' --plan academic --owner ada@example.org",),
    ),
    Command(
        group="teams",
        name="list",
        summary="list teams, newest first",
        run=_list,
        arguments=(
            argument("--query", "only those whose name holds this, or with a user of this address", default=""),
            argument("--limit", "at most as many (100)", type=int, default=100),
            argument("--after", "only those older than this team", type=identifier),
        ),
        examples=("teams list --query ada@example.org",),
    ),
    Command(group="teams", name="show", summary="a team and its users", run=_show, arguments=(TEAM,)),
    Command(
        group="teams",
        name="suspend",
        summary="refuse every key of a team within a second; running jobs finish",
        run=_suspend,
        arguments=(TEAM, argument("--reason", "why, for the audit trail", required=True)),
        examples=("teams suspend 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f --reason unpaid",),
        question="Refuse every key of the team {team}?",
    ),
    Command(group="teams", name="resume", summary="take a suspended team's keys again", run=_resume, arguments=(TEAM,)),
    Command(
        group="teams",
        name="set-plan",
        summary="give a team another plan; enterprise keys hold on that plan alone",
        run=_set_plan,
        arguments=(TEAM, argument("plan", _PLAN)),
        examples=("teams set-plan 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f commercial",),
        question="Give the team {team} the plan {plan}? Its limits and prices change at once.",
    ),
    Command(group="users", name="list", summary="list a team's users", run=_users, arguments=(TEAM,)),
    Command(
        group="users",
        name="add",
        summary="add a user to a team",
        run=_add_user,
        arguments=(
            TEAM,
            argument("email", "the person's address"),
            argument("--role", "owner, admin or member (member)", choices=list(_ROLES), default="member"),
            argument("--name", "what to call the person; the address where it is not given", default=""),
            _REQUEST_ID,
        ),
        examples=("users add 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f grace@example.org --role admin",),
    ),
    Command(
        group="users",
        name="set-role",
        summary="give a user another role",
        run=_set_role,
        arguments=(TEAM, _USER, _ROLE),
        examples=("users set-role 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f grace@example.org owner",),
    ),
    Command(
        group="users",
        name="remove",
        summary="take a user out of a team and end the user's keys",
        run=_remove_user,
        arguments=(TEAM, _USER),
        question="Remove {user} from the team {team}, and end the user's keys?",
    ),
)
