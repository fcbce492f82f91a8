"""API keys, and the peppers under which they are kept."""

from __future__ import annotations

import argparse
import uuid

from google.protobuf.duration_pb2 import Duration
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.type.v1 import requester_pb2

from deploy.admin.command import TEAM, Command, Shown, Thing, argument, identifier
from deploy.admin.output import time
from deploy.admin.session import Session
from deploy.admin.teams import user_of

_ENVIRONMENTS = {
    "live": requester_pb2.ENVIRONMENT_LIVE,
    "test": requester_pb2.ENVIRONMENT_TEST,
    "enterprise": requester_pb2.ENVIRONMENT_ENTERPRISE,
}
_WORDS = {number: word for word, number in _ENVIRONMENTS.items()}
_DAY_SECONDS = 86_400


async def _list(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.ListKeysRequest(team_id=given.team, page_size=given.limit, after_key_id=given.after or "")
    return [_thing(key) for key in (await AccountsServiceStub(session.channel("accounts")).ListKeys(request)).keys]


async def _create(session: Session, given: argparse.Namespace) -> Shown:
    user = await user_of(session, given.team, given.user)
    days = given.expires_in_days
    made = await AccountsServiceStub(session.channel("accounts")).CreateKey(
        pb.CreateKeyRequest(
            request_id=given.request_id or str(uuid.uuid4()),
            team_id=given.team,
            user_id=user.user_id,
            name=given.name,
            environment=_ENVIRONMENTS[given.environment],
            lifetime=Duration(seconds=days * _DAY_SECONDS) if days else None,
        )
    )
    return {**_thing(made.key), "secret": made.secret}


async def _revoke(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.RevokeKeyRequest(team_id=given.team, key_id=given.key)
    return _thing((await AccountsServiceStub(session.channel("accounts")).RevokeKey(request)).key)


async def _peppers(session: Session, _given: argparse.Namespace) -> Shown:
    answer = await AccountsServiceStub(session.channel("accounts")).ListPeppers(pb.ListPeppersRequest())
    return [
        {
            "pepper_id": pepper.pepper_id or "not noted",
            "keys": pepper.key_count,
            "current": pepper.current,
            "known": pepper.known,
        }
        for pepper in answer.peppers
    ]


def _thing(key: pb.Key) -> Thing:
    ends = [getattr(key, name) for name in ("expire_time", "retire_time") if key.HasField(name)]
    return {
        "key_id": key.key_id,
        "name": key.name,
        "environment": _WORDS[key.environment],
        "hint": key.hint,
        "user_id": key.user_id,
        "created_at": time(key.create_time),
        "expires_at": min(map(time, ends), default=None),
        "revoked_at": time(key.revoke_time) if key.HasField("revoke_time") else None,
        "last_used_at": time(key.last_use_time) if key.HasField("last_use_time") else None,
    }


COMMANDS = (
    Command(
        group="keys",
        name="list",
        summary="list a team's keys, newest first, never with a secret",
        run=_list,
        arguments=(
            TEAM,
            argument("--limit", "at most as many (100)", type=int, default=100),
            argument("--after", "only those older than this key", type=identifier),
        ),
    ),
    Command(
        group="keys",
        name="create",
        summary="make a key for a user; its secret is shown once",
        run=_create,
        arguments=(
            TEAM,
            argument("--user", "the user's id or address", required=True),
            argument("--name", "what to call it", required=True),
            argument("--environment", "live, test or enterprise", choices=list(_ENVIRONMENTS), required=True),
            argument("--expires-in-days", "ends it by itself; without it, never", type=int, default=0),
            argument("--request-id", "makes a repeat answer the first result", default=""),
        ),
        examples=(
            "keys create 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f --user ada@example.org --name ci --environment test",
        ),
    ),
    Command(
        group="keys",
        name="revoke",
        summary="end a key for good, within a second",
        run=_revoke,
        arguments=(TEAM, argument("key", "the key's id", type=identifier)),
        question="End the key {key} for good?",
    ),
    Command(
        group="keys",
        name="peppers",
        summary="how many keys are kept under each pepper; an older one without keys can be taken away",
        run=_peppers,
    ),
)
