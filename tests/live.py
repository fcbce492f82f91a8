"""A running mesh seen from outside: teams made by the operator, requests by their keys."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from qm.accounts.v1 import accounts_pb2 as accounts
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.type.v1 import requester_pb2

from deploy.local.mesh import LocalMesh
from deploy.local.programs import Program
from edge.bodies import parse_text
from edge.values import body_of
from mesh.channel import MeshChannel
from mesh.identity import Identity

BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
BELL_JOB = {"algorithm_id": "circuit.openqasm.v1", "shots": 1024, "parameters": {"qasm": BELL}}
ENVIRONMENTS = {
    "live": requester_pb2.ENVIRONMENT_LIVE,
    "test": requester_pb2.ENVIRONMENT_TEST,
    "ent": requester_pb2.ENVIRONMENT_ENTERPRISE,
}


def assert_is(answer: httpx.Response, kind: type) -> dict[str, Any]:
    """The answer has the members and types that the document gives it, and no others; answers its value."""
    value: dict[str, Any] = parse_text(answer.content)
    body_of(value, kind)
    assert set(value) <= set(kind.__struct_fields__)  # type: ignore[attr-defined]
    return value


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """The status of a refusal, its type, and the parameter that it blames."""
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["type"], error.get("param", "")


def without_own_jobs(programs: Sequence[Program]) -> list[Program]:
    """The same parts in a mesh that neither measures backends nor draws random bits unless it is asked to."""
    told = {
        "execution": {"benchmark_seconds": 0},
        "entropy": {"first_refill_seconds": 10**6, "refill_seconds": 10**6},
    }
    return [replace(each, told={**each.told, **told.get(each.name, {})}) for each in programs]


def operator_channel(mesh: LocalMesh, service: str) -> MeshChannel:
    """A channel under the operator's identity."""
    identity = Identity.at(mesh.layout.identities / "operator", "operator")
    return MeshChannel(mesh.layout.address(service), identity, service)


@dataclass(frozen=True)
class Team:
    """A team and the secrets of its keys, by environment."""

    team_id: str
    user_id: str
    key_ids: dict[str, str]
    secrets: dict[str, str]

    @classmethod
    async def create(cls, mesh: LocalMesh, plan: str) -> Team:
        """Make a team of a plan with one key of each environment that it has."""
        name = f"team-{uuid.uuid4().hex[:12]}"
        async with operator_channel(mesh, "accounts") as channel:
            stub = AccountsServiceStub(channel)
            team = (await stub.CreateTeam(accounts.CreateTeamRequest(request_id=name, name=name, plan=plan))).team
            user = (
                await stub.CreateUser(
                    accounts.CreateUserRequest(
                        request_id=name,
                        team_id=team.team_id,
                        email=f"{name}@example.org",
                        name="A user",
                        role=accounts.ROLE_OWNER,
                    )
                )
            ).user
            key_ids, secrets = {}, {}
            for word, environment in ENVIRONMENTS.items():
                if word == "ent" and plan != "enterprise":
                    continue
                made = await stub.CreateKey(
                    accounts.CreateKeyRequest(
                        request_id=f"{name}-{word}",
                        team_id=team.team_id,
                        user_id=user.user_id,
                        name=word,
                        environment=environment,
                    )
                )
                key_ids[word], secrets[word] = made.key.key_id, made.secret
        return cls(team.team_id, user.user_id, key_ids, secrets)


class Api:
    """The REST API as one key sees it."""

    def __init__(self, mesh: LocalMesh, secret: str) -> None:
        self.http = httpx.AsyncClient(
            base_url=mesh.base_url,
            headers={"Authorization": f"Bearer {secret}"},
            timeout=40,
            limits=httpx.Limits(max_connections=64),
        )

    async def submit(self, body: dict[str, Any] = BELL_JOB, **headers: str) -> httpx.Response:
        """POST /v1/jobs/submit."""
        return await self.http.post("/v1/jobs/submit", json=body, headers=headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def patient_post(self, path: str, body: object, patience: float = 60, **headers: str) -> httpx.Response:
        """The answer to a body, sent again while 503 says when to come again, as by a mesh that has just started."""
        async with asyncio.timeout(patience):
            while (answer := await self.http.post(path, json=body, headers=headers)).status_code == 503:
                await asyncio.sleep(int(answer.headers["retry-after"]))
        return answer

    async def finished(self, job_id: str, patience: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        async with asyncio.timeout(patience):
            while True:
                job: dict[str, Any] = (await self.get(f"/v1/jobs/{job_id}?wait=10")).json()
                if job["status"] in {"completed", "failed", "cancelled"}:
                    return job

    async def run(self, body: dict[str, Any] = BELL_JOB) -> dict[str, Any]:
        """Submit and wait for the end."""
        accepted = await self.submit(body)
        assert accepted.status_code == 202, accepted.text
        return await self.finished(accepted.json()["job_id"])

    async def close(self) -> None:
        await self.http.aclose()
