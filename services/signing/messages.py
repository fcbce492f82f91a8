"""Signing's nouns as protobuf messages, and requests as nouns."""

from __future__ import annotations

import datetime as dt

from qm.signing.v1 import signing_pb2 as pb

from mesh.errors import InvalidArgument
from mesh.timestamps import timestamp
from services.signing import timestamp as ots
from services.signing.anchor import Anchor
from services.signing.examination import Check, Claim
from services.signing.keyring import State, StoredKey
from services.signing.rotation import Order
from services.signing.seal import Seal, Subject
from services.signing.store import StoredTimestamp

_STATES = {
    State.PENDING: pb.KEY_STATE_PENDING,
    State.ACTIVE: pb.KEY_STATE_ACTIVE,
    State.RETIRED: pb.KEY_STATE_RETIRED,
}


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


def order_of(request: pb.RotateKeyRequest) -> Order:
    """What a RotateKey request wants; InvalidArgument where its time is none, or a text is not printable."""
    for field, text in (("request_id", request.request_id), ("reason", request.reason)):
        if not text.isprintable():
            raise InvalidArgument(f"{field}: must be printable.", reason="INVALID_FIELD", field=field)
    if not request.HasField("not_before"):
        return Order(request.request_id, request.reason)
    try:
        time = request.not_before.ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("not_before: is no time.", reason="BAD_TIME", field="not_before") from None
    return Order(request.request_id, request.reason, time)


def key_message(key: StoredKey, now: dt.datetime) -> pb.PublicKey:
    """The public half of a record key on the wire, as it is at the time `now`."""
    return pb.PublicKey(
        key_id=key.key_id,
        public_key=key.public,
        not_before=timestamp(key.not_before),
        expire_time=timestamp(key.expire_time) if key.expire_time else None,
        state=_STATES[key.state_at(now)],
    )


def timestamp_message(stored: StoredTimestamp) -> pb.LogTimestamp:
    """What a calendar said, on the wire."""
    timestamp = ots.Timestamp(stored.digest, stored.proof)
    return pb.LogTimestamp(
        size=stored.size,
        calendar=stored.calendar,
        digest=stored.digest,
        file=timestamp.file(),
        bitcoin_roots=timestamp.bitcoin_roots(),
    )


def check_message(check: Check) -> pb.Check:
    """A check on the wire."""
    return pb.Check(name=check.name, ok=check.ok, detail=check.detail)
