"""An entry of the audit trail: one thing that was done, linked by hash to the one before it in its team. Pure.

canonical = RFC 8785 of {type, team_id, position, previous, event_id, …}
hash      = SHA-256(0x00 || canonical)            a leaf of its batch's tree (RFC 6962)
previous  = "sha256:" and the hash of the team's entry before; 64 zeros for the first
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import rfc8785
from qm.audit.v1.audit_pb2 import AuditEvent, Outcome

from services.certificates.tree import hash_leaf, levels_of

ENTRY_TYPE = "qmumma.audit_entry/v1"
BATCH_TYPE = "qmumma.audit/v1"
NOTHING_BEFORE = bytes(32)


class BadEventError(ValueError):
    """An event that cannot be kept: no team, no id, or text that is none."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a team's chain ends."""

    position: int = 0
    hash: bytes = NOTHING_BEFORE


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is kept."""

    event_id: uuid.UUID
    team_id: uuid.UUID
    position: int
    """In its team, from 1."""
    action: str
    object_id: str
    job_id: str
    """The job that it has to do with; empty where there is none."""
    user_id: str
    key_id: str
    time: dt.datetime
    canonical: bytes

    @property
    def hash(self) -> bytes:
        """The leaf hash."""
        return hash_leaf(self.canonical)


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that go into the log under one root."""

    number: int
    """From 1, without a gap."""
    first_entry: int
    last_entry: int
    record: bytes
    """What is signed: canonical JSON of BATCH_TYPE."""

    @property
    def subject(self) -> str:
        """What signing knows it by: a batch is signed once, however often it is tried."""
        return f"audit/{self.number}"


def check_event(event: AuditEvent) -> None:
    """Raise BadEventError where the event cannot become an entry."""
    try:
        uuid.UUID(event.event_id)
        uuid.UUID(event.team_id)
    except ValueError:
        raise BadEventError("an event needs a UUID of its own and its team's") from None
    if not event.action or event.outcome not in Outcome.values()[1:]:
        raise BadEventError("an event needs an action and an outcome")
    texts = (event.action, event.object_id, event.user_id, event.key_id, event.details.get("job_id", ""))
    if any("\0" in text for text in texts):
        raise BadEventError("PostgreSQL keeps no text with a zero in it")
    try:
        event.create_time.ToDatetime(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise BadEventError(f"the event has a value that cannot be kept: {error}") from None


def next_entry(event: AuditEvent, head: Head) -> Entry:
    """The entry of a checked event, after `head`."""
    time = event.create_time.ToDatetime(dt.UTC)
    details = dict(event.details)
    members: dict[str, Any] = {
        "type": ENTRY_TYPE,
        "team_id": event.team_id,
        "position": head.position + 1,
        "previous": f"sha256:{head.hash.hex()}",
        "event_id": event.event_id,
        "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "service": event.service,
        "user_id": event.user_id,
        "key_id": event.key_id,
        "action": event.action,
        "object_id": event.object_id,
        "outcome": Outcome.Name(event.outcome).removeprefix("OUTCOME_").lower(),
        "request_id": event.request_id,
        "address": event.address,
        "details": details,
    }
    kind = event.action.partition(".")[0]
    return Entry(
        event_id=uuid.UUID(event.event_id),
        team_id=uuid.UUID(event.team_id),
        position=head.position + 1,
        action=event.action,
        object_id=event.object_id,
        job_id=event.object_id if kind == "job" else details.get("job_id", ""),
        user_id=event.user_id,
        key_id=event.key_id,
        time=time,
        canonical=_canonical(members, details),
    )


def _canonical(members: Mapping[str, Any], details: Mapping[str, str]) -> bytes:
    """RFC 8785 of an entry. Of ASCII names, texts and one integer that is what msgspec writes, ten times as quickly."""
    if all(name.isascii() for name in details):
        return msgspec.json.encode(members, order="sorted")
    return rfc8785.dumps(dict(members))


def chain(events: Sequence[AuditEvent], heads: Mapping[str, Head]) -> list[Entry]:
    """The entries of checked events in their order; `heads` has where each team's chain ends, if it has begun."""
    ends = dict(heads)
    entries = []
    for event in events:
        entry = next_entry(event, ends.get(event.team_id, Head()))
        ends[event.team_id] = Head(entry.position, entry.hash)
        entries.append(entry)
    return entries


def cut_batch(number: int, first_entry: int, hashes: Sequence[bytes], previous: bytes) -> Batch:
    """The batch over leaf hashes, at least one; `previous` is the record of the batch before, empty for the first."""
    root = levels_of(hashes)[-1][0]
    record: dict[str, Any] = {
        "type": BATCH_TYPE,
        "batch": number,
        "first_entry": first_entry,
        "entries": len(hashes),
        "root": f"sha256:{root.hex()}",
        "previous_batch": f"sha256:{hash_leaf(previous).hex()}" if previous else None,
    }
    return Batch(number, first_entry, first_entry + len(hashes) - 1, rfc8785.dumps(record))
