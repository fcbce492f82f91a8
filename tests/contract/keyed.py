"""API keys and members of a team, made and watched over HTTP."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub

from deploy.local.mesh import LocalMesh
from tests.live import Api, Team, operator_channel


async def made(api: Api, environment: str = "test", **rest: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/keys", json={"name": "made", "environment": environment, **rest})
    assert answer.status_code == 201, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def dies(mesh: LocalMesh, secret: str, status: int = 401, seconds: float = 1) -> None:
    """The key is refused within a second, or as many."""
    api = Api(mesh, secret)
    async with asyncio.timeout(seconds):
        while (await api.get("/v1/jobs")).status_code != status:
            await asyncio.sleep(0.02)
    await api.close()


async def works(mesh: LocalMesh, secret: str) -> bool:
    api = Api(mesh, secret)
    answer = await api.get("/v1/jobs")
    await api.close()
    return answer.status_code == 200


async def member(mesh: LocalMesh, team: Team, role: pb.Role.ValueType, environment: int = 1) -> tuple[Api, str]:
    """Another user of the team, by a key of an environment; and the user's id."""
    name = uuid.uuid4().hex
    async with operator_channel(mesh, "accounts") as channel:
        stub = AccountsServiceStub(channel)
        user = (
            await stub.CreateUser(
                pb.CreateUserRequest(
                    request_id=name, team_id=team.team_id, email=f"{name}@example.org", name="Member", role=role
                )
            )
        ).user
        key = await stub.CreateKey(
            pb.CreateKeyRequest(
                request_id=name,
                team_id=team.team_id,
                user_id=user.user_id,
                name="a member's",
                environment=environment,  # type: ignore[arg-type]
            )
        )
    return Api(mesh, key.secret), user.user_id
