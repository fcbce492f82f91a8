"""The only SQL of signing. Names need no schema: the search path is signing's own.

Seals, nodes and heads are written once and never changed (a head gets its note once), so what was read of them stays
true.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncpg

from mesh.database import Connection, Database
from services.signing.checkpoint import Head
from services.signing.keyring import Algorithm, Change, Purpose, StoredKey
from services.signing.keys import KeyId
from services.signing.seal import Seal, Subject
from services.signing.tree import Node

# Held until the commit by whoever makes keys: processes take turns, and each reads what the last one wrote. It is a
# statement of its own because a statement sees only what was committed before it began.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.log', 0))"

_KEYS = """
SELECT key_id, purpose, algorithm, public_key, wrapped_seed, not_before, expire_time, request_id, announcement FROM keys
ORDER BY not_before DESC, key_id DESC
"""
_NEW_KEYS = """
INSERT INTO keys
(key_id, purpose, algorithm, public_key, wrapped_seed, not_before, expire_time, request_id, announcement)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_CHANGED_KEYS = "UPDATE keys SET wrapped_seed = $2, expire_time = $3 WHERE key_id = $1"

_HEAD = "SELECT size, root, note FROM checkpoints ORDER BY size DESC LIMIT 1"
_LINES = "coalesce((SELECT string_agg(line, '' ORDER BY vkey) FROM cosignatures WHERE size = head.size), '')"
_NEWEST = f"SELECT size, root, note, {_LINES} AS witnessed FROM checkpoints AS head ORDER BY size DESC LIMIT 1"  # noqa: S608
_WITNESSED = f"""
SELECT size, root, note, {_LINES} AS witnessed FROM checkpoints AS head
WHERE size = (SELECT max(size) FROM cosignatures)
"""  # noqa: S608 - made of constants
_SIGNED = "SELECT size, root, note FROM checkpoints WHERE size = $1 AND note IS NOT NULL"
# One row or more for a log with a head: the seals that stand for the subjects, or a row without one.
_HEAD_AND_SEALS = f"""
SELECT head.size, head.root, head.note,
       seals.subject, seals.audit_hash, seals.signature, seals.key_id, seals.leaf, seals.leaf_index
FROM ({_HEAD}) AS head LEFT JOIN seals ON seals.subject = ANY($1::text[])
"""  # noqa: S608 - made of constants
_KEEP_NOTE = "UPDATE checkpoints SET note = coalesce(note, $2) WHERE size = $1 RETURNING note"
_NEWEST_NOTE = "SELECT note FROM checkpoints WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1"
# With the newest head that a witness has signed too, where it covers the leaf.
_LEAF = f"""
SELECT seals.leaf, seals.leaf_index, head.size, head.root, head.note, {_LINES} AS witnessed
FROM seals JOIN checkpoints AS head ON head.size = coalesce(
  (SELECT max(size) FROM cosignatures WHERE size > seals.leaf_index), (SELECT max(size) FROM checkpoints)
) WHERE seals.leaf_hash = $1
"""  # noqa: S608 - made of constants
_HASHES = "SELECT hash FROM nodes WHERE level = $1 AND position >= $2 AND position < $3 ORDER BY position"
_LEAVES = "SELECT leaf FROM seals WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index"
_COSIGN = """
WITH given AS (SELECT * FROM unnest($2::text[], $3::text[]) AS line (vkey, text)), known AS (
  INSERT INTO witnesses (vkey, first_time) SELECT vkey, $4 FROM given ON CONFLICT (vkey) DO NOTHING
)
INSERT INTO cosignatures (size, vkey, line) SELECT $1, vkey, text FROM given ON CONFLICT DO NOTHING
"""
_TIMESTAMPS = "SELECT size, calendar, digest, proof, time FROM timestamps ORDER BY size DESC, calendar LIMIT $1"
_PENDING = "SELECT size, calendar, digest, proof, time FROM timestamps WHERE NOT complete ORDER BY size LIMIT 100"
_HAS_TIMESTAMP = "SELECT EXISTS (SELECT FROM timestamps WHERE size = $1 AND calendar = $2)"
_KEEP_TIMESTAMP = """
INSERT INTO timestamps (size, calendar, digest, proof, time, complete) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (size, calendar) DO UPDATE SET proof = excluded.proof, time = excluded.time, complete = excluded.complete
"""
_WITNESSES = "SELECT vkey FROM witnesses ORDER BY first_time, vkey"
_NODES = """
SELECT level, position, hash FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, position)
JOIN nodes USING (level, position)
"""
# Writes everything, or nothing where the newest head has not the root $14; NULL stands for no head at all.
_WRITE = """
WITH turn AS (
  SELECT WHERE (SELECT root FROM checkpoints ORDER BY size DESC LIMIT 1) IS NOT DISTINCT FROM $14
), new_nodes AS (
  INSERT INTO nodes (level, position, hash)
  SELECT new.* FROM turn, unnest($1::smallint[], $2::bigint[], $3::bytea[]) AS new
), new_seals AS (
  INSERT INTO seals (leaf_index, subject, leaf_hash, leaf, audit_hash, signature, key_id)
  SELECT new.* FROM turn, unnest($4::bigint[], $5::text[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[],
                                 $10::text[]) AS new
)
INSERT INTO checkpoints (size, root, create_time) SELECT $11, $12, $13::timestamptz FROM turn RETURNING true
"""


class StoredLeaf(NamedTuple):
    """An entry of the log, the number of entries before it, and a head that covers it."""

    leaf: bytes
    leaf_index: int
    head: Head


class StoredTimestamp(NamedTuple):
    """What a calendar said of the checkpoint of `size` leaves, and when; `proof` is OpenTimestamps', of `digest`."""

    size: int
    calendar: str
    digest: bytes
    proof: bytes
    time: dt.datetime


class SigningStore:
    """What signing keeps."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database

    async def settle_keys(self, change: Callable[[Sequence[StoredKey]], Change]) -> list[StoredKey]:
        """Make the change that `change` wants when it is shown the stored keys; all of them, newest first."""
        async with self._database.transaction(first=_LOCK) as connection:
            held = [_stored_key(row) for row in await connection.fetch(_KEYS)]
            wanted = change(held)
            await connection.executemany(_NEW_KEYS, [_key_values(key) for key in wanted.new])
            changed = [(key.key_id, key.wrapped_seed, key.expire_time) for key in wanted.changed]
            await connection.executemany(_CHANGED_KEYS, changed)
            return [_stored_key(row) for row in await connection.fetch(_KEYS)]

    async def keys(self) -> list[StoredKey]:
        """Every key, newest first."""
        return [_stored_key(row) for row in await self._database.fetch(_KEYS)]

    async def read(self, subjects: Sequence[Subject]) -> tuple[Head | None, list[Seal]]:
        """The newest head, None before the first start, and the seals that stand for subjects."""
        rows = await self._database.fetch(_HEAD_AND_SEALS, subjects)
        head = _head(rows[0]) if rows else None
        return head, [_seal(row) for row in rows if row["subject"] is not None]

    async def write(
        self,
        seals: Sequence[Seal],
        rows: Sequence[tuple[Node, bytes]],
        head: Head,
        now: dt.datetime,
        *,
        over: Head | None,
    ) -> bool:
        """Add seals, tree nodes and the head over them, all or nothing.

        False, and nothing is added, where the newest head is not the one that these are made `over`, or a subject has
        a seal already.
        """
        try:
            written = await self._database.fetchval(
                _WRITE,
                [node.level for node, _ in rows],
                [node.position for node, _ in rows],
                [node_hash for _, node_hash in rows],
                [seal.leaf_index for seal in seals],
                [seal.subject for seal in seals],
                [seal.leaf_hash for seal in seals],
                [seal.leaf for seal in seals],
                [seal.audit_hash for seal in seals],
                [seal.signature for seal in seals],
                [seal.kid for seal in seals],
                head.size,
                head.root,
                now,
                over.root if over else None,
            )
        except asyncpg.UniqueViolationError:
            return False
        return bool(written)

    async def head(self) -> Head:
        """The newest head; the log has one from its first start."""
        [row] = await self._database.fetch(_NEWEST)
        return _head(row, row["witnessed"])

    async def witnessed_head(self) -> Head | None:
        """The newest head that a witness has signed too."""
        row = await self._database.fetchrow(_WITNESSED)
        return _head(row, row["witnessed"]) if row else None

    async def signed_head(self, size: int) -> Head | None:
        """The head of `size` leaves, where it was signed."""
        row = await self._database.fetchrow(_SIGNED, size)
        return _head(row) if row else None

    async def cosign(self, size: int, lines: Sequence[tuple[str, str]], now: dt.datetime) -> None:
        """Keep the lines of witnesses under the head of `size` leaves: pairs of a vkey and a line with its end."""
        vkeys, texts = [vkey for vkey, _ in lines], [text for _, text in lines]
        await self._database.execute(_COSIGN, size, vkeys, texts, now)

    async def witnesses(self) -> list[str]:
        """The vkeys of those that have signed so far, oldest first."""
        return [str(row["vkey"]) for row in await self._database.fetch(_WITNESSES)]

    async def read_hashes(self, first: Node, count: int) -> list[bytes]:
        """The hashes of up to `count` nodes of one level from `first` on, those that there are."""
        rows = await self._database.fetch(_HASHES, first.level, first.position, first.position + count)
        return [bytes(row["hash"]) for row in rows]

    async def read_leaves(self, start: int, count: int) -> list[bytes]:
        """Up to `count` entries from the number `start` on, those that there are."""
        rows = await self._database.fetch(_LEAVES, start, start + count)
        return [bytes(row["leaf"]) for row in rows]

    async def keep_note(self, size: int, note: str) -> str:
        """Keep the signed checkpoint of the tree of `size` leaves; the one that stands, which may be another's."""
        return str(await self._database.fetchval(_KEEP_NOTE, size, note))

    async def newest_note(self) -> str | None:
        """The newest checkpoint that was signed."""
        note: str | None = await self._database.fetchval(_NEWEST_NOTE)
        return note

    async def keep_timestamp(self, timestamp: StoredTimestamp, *, complete: bool) -> None:
        """Keep a timestamp in place of an earlier one of the same calendar and checkpoint."""
        await self._database.execute(_KEEP_TIMESTAMP, *timestamp, complete)

    async def has_timestamp(self, size: int, calendar: str) -> bool:
        """Whether a calendar has stamped the checkpoint of `size` leaves."""
        return bool(await self._database.fetchval(_HAS_TIMESTAMP, size, calendar))

    async def pending_timestamps(self) -> list[StoredTimestamp]:
        """The oldest hundred that are not complete."""
        return [StoredTimestamp(*row.values()) for row in await self._database.fetch(_PENDING)]

    async def newest_timestamps(self, count: int) -> list[StoredTimestamp]:
        """The newest so many."""
        return [StoredTimestamp(*row.values()) for row in await self._database.fetch(_TIMESTAMPS, count)]

    async def find_leaf(self, leaf_hash: bytes) -> StoredLeaf | None:
        """The leaf with a hash."""
        row = await self._database.fetchrow(_LEAF, leaf_hash)
        return StoredLeaf(row["leaf"], row["leaf_index"], _head(row, row["witnessed"])) if row else None

    async def read_nodes(self, nodes: Sequence[Node]) -> dict[Node, bytes]:
        """The hashes of stored nodes."""
        if not nodes:
            return {}
        async with self._database.acquire() as connection:
            return await _read_nodes(connection, nodes)


async def _read_nodes(connection: Connection, nodes: Sequence[Node]) -> dict[Node, bytes]:
    levels, positions = [node.level for node in nodes], [node.position for node in nodes]
    rows = await connection.fetch(_NODES, levels, positions)
    return {Node(row["level"], row["position"]): row["hash"] for row in rows}


def _head(row: asyncpg.Record, witnessed: str = "") -> Head:
    return Head(row["size"], row["root"], row["note"], witnessed)


def _seal(row: asyncpg.Record) -> Seal:
    return Seal(
        Subject(row["subject"]),
        row["audit_hash"],
        row["signature"],
        KeyId(row["key_id"]),
        row["leaf"],
        row["leaf_index"],
    )


def _stored_key(row: asyncpg.Record) -> StoredKey:
    return StoredKey(
        row["key_id"],
        Purpose(row["purpose"]),
        Algorithm(row["algorithm"]),
        row["public_key"],
        row["wrapped_seed"],
        row["not_before"],
        row["expire_time"],
        row["request_id"],
        row["announcement"],
    )


def _key_values(key: StoredKey) -> tuple[object, ...]:
    return (
        key.key_id,
        key.purpose.value,
        key.algorithm.value,
        key.public,
        key.wrapped_seed,
        key.not_before,
        key.expire_time,
        key.request_id,
        key.announcement,
    )
