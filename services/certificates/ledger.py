"""The audit trail in PostgreSQL: entries, batches and their seals, each only ever added. Names need no schema.

Entries are numbered without a gap by whoever holds the lock: a batch is a span of numbers, and a lost entry would show.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from qm.audit.v1.audit_pb2 import AuditEvent
from qm.signing.v1 import signing_pb2

from mesh.database import Database
from services.certificates.entry import Batch, Head, chain, cut_batch

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.trail', 0))"
_KNOWN = "SELECT event_id FROM audit_entries WHERE event_id = ANY($1)"
_HEADS = """
SELECT (SELECT coalesce(max(entry), 0) FROM audit_entries) AS last, team_id, position, hash
FROM unnest($1::uuid[]) AS team (team_id) LEFT JOIN LATERAL (
  SELECT position, hash FROM audit_entries WHERE audit_entries.team_id = team.team_id ORDER BY position DESC LIMIT 1
) AS head ON true
"""
_APPEND = """
INSERT INTO audit_entries (entry, event_id, team_id, position, action, object_id, job_id, user_id, key_id, time,
                           canonical, hash)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::timestamptz[], $11::bytea[], $12::bytea[])
"""
_LAST_BATCH = "SELECT number, last_entry, record FROM audit_batches ORDER BY number DESC LIMIT 1"
_HASHES = "SELECT hash FROM audit_entries WHERE entry >= $1 ORDER BY entry LIMIT $2"
_NEW_BATCH = "INSERT INTO audit_batches (number, first_entry, last_entry, record) VALUES ($1, $2, $3, $4)"
_UNSEALED = """
SELECT number, first_entry, last_entry, record FROM audit_batches
WHERE NOT EXISTS (SELECT FROM audit_seals WHERE audit_seals.number = audit_batches.number) ORDER BY number LIMIT 100
"""
_SEAL = "INSERT INTO audit_seals (number, seal) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_PAGE = """
SELECT entry, position, canonical, number, first_entry FROM audit_entries
LEFT JOIN LATERAL (
  SELECT number, first_entry FROM audit_batches JOIN audit_seals USING (number)
  WHERE first_entry <= audit_entries.entry AND last_entry >= audit_entries.entry
  ORDER BY first_entry DESC LIMIT 1
) AS batch ON true
WHERE team_id = $1 AND position > $2
  AND ($3 = '' OR object_id = $3 OR job_id = $3) AND ($4 = '' OR user_id = $4 OR key_id = $4)
ORDER BY position LIMIT $5
"""
_BATCHES = """
SELECT number, first_entry, last_entry, record, seal FROM audit_batches JOIN audit_seals USING (number)
WHERE number = ANY($1) ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is read; `batch_number` is 0 while the log does not have it."""

    position: int
    canonical: bytes
    batch_number: int
    leaf_index: int
    """Entries of the batch before it."""


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch that the log has, with the leaf hashes of all its entries."""

    batch: Batch
    seal: signing_pb2.Seal
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of a team are read; an empty text leaves nothing out."""

    team_id: uuid.UUID
    object_id: str = ""
    actor_id: str = ""
    after_position: int = 0


class AuditLedger:
    """What was done."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database

    async def append(self, events: Sequence[AuditEvent]) -> int:
        """Keep checked events after those that are there; those whose id is known are dropped. Answers how many."""
        async with self._database.transaction(first=_LOCK) as connection:
            ids = [uuid.UUID(event.event_id) for event in events]
            known = {str(row["event_id"]) for row in await connection.fetch(_KNOWN, ids)}
            new = {event.event_id: event for event in events if str(uuid.UUID(event.event_id)) not in known}
            if not new:
                return 0
            teams = {uuid.UUID(event.team_id) for event in new.values()}
            rows = await connection.fetch(_HEADS, list(teams))
            heads = {str(row["team_id"]): Head(row["position"], row["hash"]) for row in rows if row["position"]}
            entries = chain(list(new.values()), heads)
            numbers = range(rows[0]["last"] + 1, rows[0]["last"] + 1 + len(entries))
            await connection.execute(
                _APPEND,
                list(numbers),
                [entry.event_id for entry in entries],
                [entry.team_id for entry in entries],
                [entry.position for entry in entries],
                [entry.action for entry in entries],
                [entry.object_id for entry in entries],
                [entry.job_id for entry in entries],
                [entry.user_id for entry in entries],
                [entry.key_id for entry in entries],
                [entry.time for entry in entries],
                [entry.canonical for entry in entries],
                [entry.hash for entry in entries],
            )
        return len(entries)

    async def cut(self, most: int) -> int:
        """Put up to `most` entries that are in no batch yet into the next one; answers how many."""
        async with self._database.transaction(first=_LOCK) as connection:
            last = await connection.fetchrow(_LAST_BATCH)
            first = last["last_entry"] + 1 if last else 1
            hashes = [row["hash"] for row in await connection.fetch(_HASHES, first, most)]
            if hashes:
                number = last["number"] + 1 if last else 1
                batch = cut_batch(number, first, hashes, last["record"] if last else b"")
                await connection.execute(_NEW_BATCH, batch.number, batch.first_entry, batch.last_entry, batch.record)
        return len(hashes)

    async def unsealed(self) -> list[Batch]:
        """Batches that the log may not have yet, oldest first; some of them."""
        return [Batch(**row) for row in await self._database.fetch(_UNSEALED)]

    async def keep_seal(self, number: int, seal: signing_pb2.Seal) -> None:
        """Note that the log has a batch."""
        await self._database.execute(_SEAL, number, seal.SerializeToString())

    async def page(self, wanted: Wanted, size: int) -> list[Line]:
        """Up to `size` entries, oldest first."""
        rows = await self._database.fetch(
            _PAGE, wanted.team_id, wanted.after_position, wanted.object_id, wanted.actor_id, size
        )
        return [
            Line(
                row["position"],
                row["canonical"],
                row["number"] or 0,
                row["entry"] - row["first_entry"] if row["number"] else 0,
            )
            for row in rows
        ]

    async def batches(self, numbers: Sequence[int]) -> list[SealedBatch]:
        """Sealed batches by number."""
        found = []
        for row in await self._database.fetch(_BATCHES, numbers):
            batch = Batch(row["number"], row["first_entry"], row["last_entry"], row["record"])
            count = batch.last_entry - batch.first_entry + 1
            hashes = await self._database.fetch(_HASHES, batch.first_entry, count)
            seal = signing_pb2.Seal.FromString(row["seal"])
            found.append(SealedBatch(batch, seal, tuple(each["hash"] for each in hashes)))
        return found
