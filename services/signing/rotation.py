"""Rotations: when the next key of records is due, and what changes when it is made. Pure.

A new key signs from its `not_before` on; the one before it ends CLOCK_LEEWAY later, so that every process has learned
of the new one by then. What the log is told of it is a record of the type `qmumma.key/v1`, signed by the key before:

    {"type", "jwk": {kty, alg, use, kid, pub}, "not_before", "expires", "replaces", "reason"}
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mesh.errors import Conflict, InvalidArgument
from services.signing.keyring import (
    CLOCK_LEEWAY,
    Algorithm,
    Change,
    Locksmith,
    Purpose,
    StoredKey,
    record_keys,
)
from services.signing.keys import BadKeyIdError, KeyId, next_key_id
from services.signing.records import Record

KEY_TYPE = "qmumma.key/v1"
RECORD_KEY_LIFETIME = dt.timedelta(days=365)
AHEAD_MAX = dt.timedelta(days=366)
HANDOVER = dt.timedelta(days=7)
"""How long before the end of the newest key its successor is made."""


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody wants a new key; `not_before` is UTC, and None is now."""

    request_id: str
    reason: str
    not_before: dt.datetime | None = None


def first_keys(locksmith: Locksmith, held: Sequence[StoredKey], now: dt.datetime) -> Change:
    """What a first start makes: a key of records and the log's keys; nothing later."""
    new = locksmith.log_keys(held, now)
    if not record_keys(held):
        key_id = next_key_id(now.year, ())
        end = now + RECORD_KEY_LIFETIME
        new = (locksmith.make(key_id, Purpose.RECORD, Algorithm.ML_DSA_65, now, end), *new)
    return Change(new)


def due(held: Sequence[StoredKey], now: dt.datetime, every: dt.timedelta | None = None) -> Order | None:
    """The rotation that time asks for: the newest key is `every` old, or near its end."""
    newest = record_keys(held)[-1]
    request_id = f"after/{newest.key_id}"
    if newest.expire_time is not None and now >= newest.expire_time - HANDOVER:
        return Order(request_id, f"{newest.key_id} expires")
    if every is not None and now >= newest.not_before + every:
        return Order(request_id, f"every {every.days} days")
    return None


def rotate(locksmith: Locksmith, held: Sequence[StoredKey], order: Order, now: dt.datetime) -> Change:
    """The new key, and the end of the one before it; nothing for an order that was carried out before.

    Raises InvalidArgument (BAD_TIME) for a time too far ahead or after the end of the key before, and Conflict:
    KEY_EXISTS where another key begins at that time, KEY_IDS_SPENT after the ninety-ninth key of a year.
    """
    if any(key.request_id == order.request_id for key in held):
        return Change()
    keys, start = record_keys(held), max(order.not_before or now, now)
    if start > now + AHEAD_MAX:
        message = f"not_before: must be at most {AHEAD_MAX.days} days ahead."
        raise InvalidArgument(message, reason="BAD_TIME", field="not_before")
    if any(key.not_before == start for key in keys):
        raise Conflict("Another key begins at that time.", reason="KEY_EXISTS", field="not_before")
    before = [key for key in keys if key.not_before < start]
    after = [key for key in keys if key.not_before > start]
    if start > now and before and before[-1].expire_time is not None and start > before[-1].expire_time:
        message = f"not_before: {before[-1].key_id} ends before, at {_moment(before[-1].expire_time)}."
        raise InvalidArgument(message, reason="BAD_TIME", field="not_before")
    end = min([start + RECORD_KEY_LIFETIME, *(key.not_before + CLOCK_LEEWAY for key in after[:1])])
    made = locksmith.make(_next_id(start, keys), Purpose.RECORD, Algorithm.ML_DSA_65, start, end)
    replaced = before[-1] if before else keys[0]
    made = replace(made, request_id=order.request_id, announcement=_announcement(made, replaced.key_id, order.reason))
    return Change((made,), tuple(_ended(key, start) for key in before if _goes_on(key, start)))


def _goes_on(key: StoredKey, start: dt.datetime) -> bool:
    return key.expire_time is None or key.expire_time > start + CLOCK_LEEWAY


def _ended(key: StoredKey, start: dt.datetime) -> StoredKey:
    return replace(key, expire_time=start + CLOCK_LEEWAY)


def _next_id(start: dt.datetime, keys: Sequence[StoredKey]) -> KeyId:
    try:
        return next_key_id(start.year, [KeyId(key.key_id) for key in keys])
    except BadKeyIdError as error:
        raise Conflict(f"{error}.", reason="KEY_IDS_SPENT") from error


def _announcement(key: StoredKey, replaces: str, reason: str) -> bytes:
    jwk = key.public_key().jwk()
    end = key.expire_time or key.not_before
    return Record.of(
        KEY_TYPE,
        {
            "jwk": {"kty": jwk.kty, "alg": jwk.alg, "use": jwk.use, "kid": jwk.kid, "pub": jwk.pub},
            "not_before": _moment(key.not_before),
            "expires": _moment(end),
            "replaces": replaces,
            "reason": reason,
        },
    ).canonical


def _moment(time: dt.datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def signer_of(key: StoredKey, held: Sequence[StoredKey]) -> StoredKey:
    """Who vouches for a key: the one before it, or itself where there is none."""
    earlier = [other for other in record_keys(held) if other.not_before < key.not_before]
    return earlier[-1] if earlier else key


def has_changed(old: Sequence[StoredKey], new: Sequence[StoredKey]) -> bool:
    """Whether keys were made or ended between two looks."""
    return {(key.key_id, key.expire_time) for key in old} != {(key.key_id, key.expire_time) for key in new}
