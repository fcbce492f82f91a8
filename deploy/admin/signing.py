"""The keys that sign records."""

from __future__ import annotations

import argparse
import uuid

from qm.signing.v1 import signing_pb2 as pb
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub

from deploy.admin.command import Command, Shown, Thing, argument
from deploy.admin.output import time
from deploy.admin.session import Session


async def _list(session: Session, _given: argparse.Namespace) -> Shown:
    answer = await SigningServiceStub(session.channel("signing")).ListKeys(pb.ListKeysRequest())
    return [_thing(key) for key in answer.keys]


async def _rotate(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.RotateKeyRequest(request_id=given.request_id or str(uuid.uuid4()), reason=given.reason)
    return _thing((await SigningServiceStub(session.channel("signing")).RotateKey(request)).key)


def _thing(key: pb.PublicKey) -> Thing:
    return {
        "key_id": key.key_id,
        "state": pb.KeyState.Name(key.state).removeprefix("KEY_STATE_").lower(),
        "signs_from": time(key.not_before) if key.HasField("not_before") else None,
        "signs_until": time(key.expire_time) if key.HasField("expire_time") else None,
    }


COMMANDS = (
    Command(group="signing-keys", name="list", summary="list the keys that sign or have signed records", run=_list),
    Command(
        group="signing-keys",
        name="rotate",
        summary="make the next key; what older keys signed still verifies",
        run=_rotate,
        arguments=(
            argument("--reason", "why, for everyone to read in the log", required=True),
            argument("--request-id", "makes a repeat answer the first key", default=""),
        ),
        examples=("signing-keys rotate --reason yearly",),
        question="Make a new signing key? It cannot be undone, and the log will tell everyone.",
    ),
)
