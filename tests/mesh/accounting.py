"""Accounts behind its real server, as the operator, the edge and execution see it."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.accounts.v1.teams_pb2_grpc import TeamsServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, Environment, Requester

from deploy.local.postgres import secret
from mesh.channel import MeshChannel
from mesh.config import EventsConfig
from mesh.identity import Authority
from services.accounts.__main__ import wire
from services.accounts.config import AccountsConfig
from tests.conftest import PATIENCE, RunningNats, RunningPostgres
from tests.mesh.serving import Home

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub
    from qm.accounts.v1.teams_pb2_grpc import TeamsServiceAsyncStub


def stub(channel: MeshChannel) -> AccountsServiceAsyncStub:
    made: AccountsServiceAsyncStub = AccountsServiceStub(channel)  # type: ignore[assignment]
    return made


def timestamp(**ahead: float) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(**ahead))
    return time


class Accounts:
    """The service, as the operator and the edge see it."""

    def __init__(
        self,
        home: Home,
        operator: AccountsServiceAsyncStub,
        edge: AccountsServiceAsyncStub,
        execution: AccountsServiceAsyncStub,
        *,
        teams: TeamsServiceAsyncStub,
        teams_by_edge: TeamsServiceAsyncStub,
    ) -> None:
        self.home = home
        self.teams = teams
        self.teams_by_edge = teams_by_edge
        self.operator = operator
        self.edge = edge
        self.execution = execution

    async def team(self, plan: str = "student") -> pb.Team:
        request = pb.CreateTeamRequest(request_id=str(uuid.uuid4()), name="Team", plan=plan)
        return (await self.operator.CreateTeam(request, timeout=PATIENCE)).team

    async def user(self, team: pb.Team, **changes: object) -> pb.User:
        return (await self.operator.CreateUser(user_request(team, **changes), timeout=PATIENCE)).user

    async def key(
        self, user: pb.User, environment: Environment.ValueType = ENVIRONMENT_LIVE, **rest: object
    ) -> pb.CreateKeyResponse:
        return await self.operator.CreateKey(key_request(user, environment, **rest))

    async def authenticate(self, secret: str) -> pb.AuthenticateKeyResponse:
        return await self.edge.AuthenticateKey(pb.AuthenticateKeyRequest(secret=secret))

    async def revoke(self, key: pb.Key) -> pb.Key:
        return (await self.operator.RevokeKey(pb.RevokeKeyRequest(team_id=key.team_id, key_id=key.key_id))).key


def requester(user: pb.User, environment: Environment.ValueType = ENVIRONMENT_LIVE) -> Requester:
    """A user who asks by some key of an environment."""
    return Requester(
        team_id=user.team_id,
        user_id=user.user_id,
        key_id=str(uuid.uuid4()),
        plan="student",
        environment=environment,
    )


def user_request(team: pb.Team, **changes: object) -> pb.CreateUserRequest:
    known = {
        "request_id": str(uuid.uuid4()),
        "team_id": team.team_id,
        "email": f"{uuid.uuid4()}@example.org",
        "name": "Ada",
        "role": pb.ROLE_OWNER,
    }
    return pb.CreateUserRequest(**known | changes)  # type: ignore[arg-type]


def key_request(
    user: pb.User, environment: Environment.ValueType = ENVIRONMENT_LIVE, **changes: object
) -> pb.CreateKeyRequest:
    known = {
        "request_id": str(uuid.uuid4()),
        "team_id": user.team_id,
        "user_id": user.user_id,
        "name": "ci",
        "environment": environment,
    }
    return pb.CreateKeyRequest(**known | changes)  # type: ignore[arg-type]


def key_file(folder: Path) -> Path:
    """Made at the first call."""
    file = folder / "accounts-key-encryption-key"
    secret(file)
    return file


@asynccontextmanager
async def serving_accounts(
    postgres: RunningPostgres, nats_server: RunningNats, authority: Authority, scratch: Path
) -> AsyncIterator[Accounts]:
    home = await Home.make("accounts", postgres, authority)
    pepper = scratch / "pepper"
    pepper.write_bytes(secrets.token_bytes(32))
    config = home.config(
        AccountsConfig,
        pepper_file=pepper,
        key_encryption_key_file=key_file(scratch),
        events=EventsConfig(url=nats_server.url),
    )
    async with home.serve(config, wire) as way:
        yield Accounts(
            home,
            stub(way("operator")),
            stub(way("edge")),
            stub(way("execution")),
            teams=TeamsServiceStub(way("operator")),  # type: ignore[arg-type]
            teams_by_edge=TeamsServiceStub(way("edge")),  # type: ignore[arg-type]
        )
