"""The demo team, its owner and its keys, made through the accounts service like anybody's."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import msgspec

from mesh.identity import Identity

_TEAM_REQUEST = "local-demo-team"
_USER_REQUEST = "local-demo-user"


class QmummaKeys(msgspec.Struct, frozen=True):
    """Keys of the Q-MUMMA dialect: `live` is billed, `test` never."""

    live: str
    test: str


class Credentials(msgspec.Struct, frozen=True):
    """What a client on this machine needs."""

    base_url: str
    qmumma: QmummaKeys


def read_credentials(file: Path) -> Credentials | None:
    """The credentials of an earlier start, or None where there are none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def create_credentials(target: str, operator: Identity, base_url: str) -> Credentials:
    """Make the demo team and its owner where they are missing, and a new pair of keys: a secret is told only once.

    Keys of an earlier pair, whose file is lost, are ended. `target` is the accounts service. Raises MeshError.
    """
    # Imported here: only the very first start needs them.
    from qm.accounts.v1 import accounts_pb2 as pb  # noqa: PLC0415
    from qm.accounts.v1 import accounts_pb2_grpc  # noqa: PLC0415
    from qm.type.v1 import requester_pb2  # noqa: PLC0415

    from mesh.channel import MeshChannel  # noqa: PLC0415

    channel = MeshChannel(target, operator, "accounts")
    try:
        accounts = accounts_pb2_grpc.AccountsServiceStub(channel)
        team = (
            await accounts.CreateTeam(
                pb.CreateTeamRequest(request_id=_TEAM_REQUEST, name="Demo team", plan="enterprise")
            )
        ).team
        user = (
            await accounts.CreateUser(
                pb.CreateUserRequest(
                    request_id=_USER_REQUEST,
                    team_id=team.team_id,
                    email="demo@qmumma.example",
                    name="Demo owner",
                    role=pb.ROLE_OWNER,
                )
            )
        ).user
        environments = {"live": requester_pb2.ENVIRONMENT_LIVE, "test": requester_pb2.ENVIRONMENT_TEST}
        names = {word: f"Demo {word} key" for word in environments}
        for key in (await accounts.ListKeys(pb.ListKeysRequest(team_id=team.team_id))).keys:
            if key.name in names.values() and key.user_id == user.user_id:
                await accounts.RevokeKey(pb.RevokeKeyRequest(team_id=team.team_id, key_id=key.key_id))
        secrets = {}
        for word, environment in environments.items():
            request = pb.CreateKeyRequest(
                request_id=str(uuid.uuid4()),
                team_id=team.team_id,
                user_id=user.user_id,
                name=names[word],
                environment=environment,
            )
            secrets[word] = (await accounts.CreateKey(request)).secret
    finally:
        await channel.close()
    return Credentials(base_url, QmummaKeys(**secrets))


def to_json(credentials: Credentials) -> str:
    """The credentials as they are written to their file."""
    return json.dumps(msgspec.to_builtins(credentials), indent=2)
