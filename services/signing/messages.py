"""Signing's nouns as protobuf messages, and requests as nouns."""

from __future__ import annotations

import datetime as dt

from google.protobuf.timestamp_pb2 import Timestamp
from qm.signing.v1 import signing_pb2 as pb

from mesh.errors import InvalidArgument
from services.signing.anchor import Anchor
from services.signing.examination import Check, Claim
from services.signing.keyring import StoredKey
from services.signing.seal import Seal, Subject


def subject_of(text: str) -> Subject:
    """A subject; InvalidArgument (BAD_SUBJECT) for one with a control character or one that no reader could see."""
    if not text.isprintable():
        message = "subject: must be printable."
        raise InvalidArgument(message, reason="BAD_SUBJECT", field="subject")
    return Subject(text)


def claim_of(request: pb.VerifyRecordRequest) -> Claim:
    """What a VerifyRecord request claims."""
    seal = request.seal
    return Claim(request.record, seal.audit_hash, seal.signature, seal.key_id, seal.leaf_hash, seal.leaf_index)


def seal_message(seal: Seal) -> pb.Seal:
    """A seal on the wire."""
    return pb.Seal(
        audit_hash=seal.audit_hash,
        signature=seal.signature,
        key_id=seal.kid,
        leaf_hash=seal.leaf_hash,
        leaf_index=seal.leaf_index,
    )


def anchor_message(anchor: Anchor) -> pb.GetAnchorResponse:
    """A proven leaf on the wire."""
    return pb.GetAnchorResponse(
        leaf=anchor.leaf,
        leaf_index=anchor.leaf_index,
        tree_size=anchor.head.size,
        inclusion=anchor.inclusion,
        checkpoint=anchor.head.note,
    )


def key_message(key: StoredKey) -> pb.PublicKey:
    """The public half of a record key on the wire."""
    return pb.PublicKey(
        key_id=key.key_id,
        public_key=key.public,
        not_before=_timestamp(key.not_before),
        expire_time=_timestamp(key.expire_time) if key.expire_time else None,
    )


def check_message(check: Check) -> pb.Check:
    """A check on the wire."""
    return pb.Check(name=check.name, ok=check.ok, detail=check.detail)


def _timestamp(time: dt.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message
