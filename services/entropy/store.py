"""The only SQL of the pool: sources, chunks and blocks. Names need no schema: the search path is entropy's own.

Secrets are sealed with the service's key (mesh/vault), each bound to its own row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
from qm.signing.v1 import signing_pb2

from mesh.database import Connection, Database
from mesh.vault import Vault
from services.entropy.block import Block, BlockId, ChunkId, Grade, Provenance
from services.entropy.chunk import Chunk
from services.entropy.source import Source, SourceKey, State

_PLACE = "blocks|sealed"

_SOURCE = """
SELECT source_id, live, state, simulated, reason, failure_count, retry_time, assessed_min_entropy, chunk_time
FROM sources
"""
_SOURCE_BY_KEY = f"{_SOURCE} WHERE source_id = $1 AND live = $2"
_KEEP_SOURCE = """
INSERT INTO sources (source_id, live, state, simulated, reason, failure_count, retry_time, assessed_min_entropy,
                     chunk_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (source_id, live) DO UPDATE SET
  state = excluded.state, simulated = excluded.simulated, reason = excluded.reason,
  failure_count = excluded.failure_count, retry_time = excluded.retry_time,
  assessed_min_entropy = excluded.assessed_min_entropy, chunk_time = excluded.chunk_time
"""
_KEEP_CHUNK = """
INSERT INTO chunks (chunk_id, source_id, live, job_id, simulated, engine, calibration_id, circuit_sha256, bit_count,
                    credited_bits, digests, report, failure, create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
_SEEN = "SELECT chunk_id FROM chunks WHERE digests && $1 LIMIT 1"
_KEEP_BLOCK = """
INSERT INTO blocks (block_id, chunk_id, source_id, live, grade, bit_count, sealed, kid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_EMPTY = "DELETE FROM blocks WHERE source_id = $1 AND live = $2"

_BLOCK = """
blocks.block_id, blocks.source_id, blocks.live, blocks.grade, blocks.bit_count, blocks.sealed, blocks.kid, blocks.tests,
chunks.simulated, chunks.report
"""
_UNTESTED = f"""
SELECT {_BLOCK} FROM blocks JOIN chunks USING (chunk_id)
WHERE blocks.source_id = $1 AND blocks.live = $2 AND tests IS NULL ORDER BY grade DESC, block_id LIMIT 1
"""  # noqa: S608 - made of constants
# Deleted before it is used, and in the same commit: whoever else comes finds another block, or none.
_TAKE = f"""
DELETE FROM blocks USING chunks
WHERE chunks.chunk_id = blocks.chunk_id AND block_id = (
  SELECT block_id FROM blocks JOIN sources USING (source_id, live)
  WHERE source_id = $1 AND live = $2 AND grade = $3 AND (tests IS NOT NULL) = $4 AND sources.state = 3
  ORDER BY block_id LIMIT 1 FOR UPDATE OF blocks SKIP LOCKED)
RETURNING {_BLOCK}
"""  # noqa: S608 - made of constants
_CERTIFY = "UPDATE blocks SET tests = $2 WHERE block_id = $1"
_REJECT = "DELETE FROM blocks WHERE block_id = $1"
_STOCK = """
SELECT source_id, live, grade, count(tests) AS tested, count(*) - count(tests) AS untested,
       coalesce(sum(bit_count) FILTER (WHERE tests IS NOT NULL), 0)::bigint AS bits
FROM blocks GROUP BY source_id, live, grade
"""


_LIFT = "SELECT source_id, live, record, seal FROM lifts"
_LIFT_OF = f"{_LIFT} WHERE request_id = $1"
_LIFTS = f"{_LIFT} WHERE seal IS NOT NULL ORDER BY create_time DESC LIMIT 100"
_BEGIN_LIFT = """
INSERT INTO lifts (request_id, source_id, live, record, create_time) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (request_id) DO NOTHING
"""
_SEAL_LIFT = "UPDATE lifts SET seal = $2 WHERE request_id = $1 AND seal IS NULL RETURNING source_id, live"
# Still in quarantine: it may only be tested now, and not later.
_MAY_START = "UPDATE sources SET retry_time = $3 WHERE source_id = $1 AND live = $2 AND state = 4"


class Stock(NamedTuple):
    """Blocks of one source and grade."""

    tested: int = 0
    untested: int = 0
    tested_bits: int = 0


class Lift(NamedTuple):
    """A quarantine that an operator lifted; its seal is None until it is in the log."""

    source: SourceKey
    record: bytes
    seal: signing_pb2.Seal | None


class PoolStore:
    """What is kept of sources and blocks."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Keep it in `database`, secrets sealed by `vault`."""
        self._database = database
        self._vault = vault

    async def source(self, key: SourceKey) -> Source | None:
        """How a source stands; None where it was never drawn from."""
        row = await self._database.fetchrow(_SOURCE_BY_KEY, key.source_id, key.live)
        return _source(row) if row else None

    async def sources(self) -> list[Source]:
        """Every source that was ever drawn from."""
        return [_source(row) for row in await self._database.fetch(_SOURCE)]

    async def keep_source(self, source: Source) -> None:
        """Write how a source stands."""
        async with self._database.acquire() as connection:
            await _keep_source(connection, source)

    async def was_seen(self, digests: Sequence[bytes]) -> bool:
        """Whether any of these pieces of raw bits came before, from whatever source."""
        return await self._database.fetchval(_SEEN, digests) is not None

    async def keep_chunk(self, chunk: Chunk, blocks: Sequence[Block], source: Source) -> None:
        """A chunk that passed, the blocks made of it, and its source; all or nothing."""
        async with self._database.transaction() as connection:
            await connection.execute(_KEEP_CHUNK, *_chunk_values(chunk))
            await connection.executemany(_KEEP_BLOCK, [self._block_values(chunk.chunk_id, block) for block in blocks])
            await _keep_source(connection, source)

    async def quarantine(self, source: Source, chunk: Chunk | None = None) -> None:
        """A source that failed: with the chunk that did, and without any block of its own; all or nothing."""
        async with self._database.transaction() as connection:
            if chunk is not None:
                await connection.execute(_KEEP_CHUNK, *_chunk_values(chunk))
            await connection.execute(_EMPTY, source.key.source_id, source.key.live)
            await _keep_source(connection, source)

    async def untested(self, key: SourceKey) -> Block | None:
        """A block that waits for its tests."""
        row = await self._database.fetchrow(_UNTESTED, key.source_id, key.live)
        return self._block(row) if row else None

    async def certify(self, block_id: BlockId, tests: dict[str, Any]) -> None:
        """Put a block that passed its tests into the pool."""
        await self._database.execute(_CERTIFY, block_id, tests)

    async def reject(self, block_id: BlockId) -> None:
        """Throw away a block that did not."""
        await self._database.execute(_REJECT, block_id)

    async def take(self, key: SourceKey, grade: Grade, *, tested: bool) -> Block | None:
        """A block of a healthy source, which the pool then has no more; None where there is none."""
        row = await self._database.fetchrow(_TAKE, key.source_id, key.live, grade, tested)
        return self._block(row) if row else None

    async def stock(self) -> dict[tuple[SourceKey, Grade], Stock]:
        """What there is of each source and grade."""
        return {
            (SourceKey(row["source_id"], row["live"]), Grade(row["grade"])): Stock(
                row["tested"], row["untested"], row["bits"]
            )
            for row in await self._database.fetch(_STOCK)
        }

    async def lift(self, request_id: str) -> Lift | None:
        """The lift of a request, if it has begun."""
        row = await self._database.fetchrow(_LIFT_OF, request_id)
        return _lift(row) if row else None

    async def lifts(self) -> list[Lift]:
        """The newest lifts, newest first."""
        return [_lift(row) for row in await self._database.fetch(_LIFTS)]

    async def begin_lift(self, request_id: str, key: SourceKey, record: bytes, now: dt.datetime) -> Lift:
        """Keep a lift before it is signed; of two at once, that which was first."""
        async with self._database.acquire() as connection:
            await connection.execute(_BEGIN_LIFT, request_id, key.source_id, key.live, record, now)
            return await _kept_lift(connection, request_id)

    async def end_lift(self, request_id: str, seal: signing_pb2.Seal, now: dt.datetime) -> Lift:
        """Keep the seal, and let the source be tested from now on; both or nothing, and once."""
        async with self._database.transaction() as connection:
            sealed = await connection.fetchrow(_SEAL_LIFT, request_id, seal.SerializeToString())
            if sealed is not None:
                await connection.execute(_MAY_START, sealed["source_id"], sealed["live"], now)
            return await _kept_lift(connection, request_id)

    def _block_values(self, chunk_id: ChunkId, block: Block) -> tuple[object, ...]:
        key = block.provenance.source
        sealed = self._vault.seal(block.secret, str(block.block_id), _PLACE)
        return block.block_id, chunk_id, key.source_id, key.live, block.grade, block.bit_count, sealed, self._vault.kid

    def _block(self, row: asyncpg.Record) -> Block:
        block_id = BlockId(row["block_id"])
        return Block(
            block_id,
            Grade(row["grade"]),
            row["bit_count"],
            self._vault.open(row["sealed"], str(block_id), _PLACE, row["kid"]),
            Provenance(SourceKey(row["source_id"], row["live"]), row["simulated"], row["report"]),
            row["tests"] or {},
        )


async def _keep_source(connection: Connection, source: Source) -> None:
    await connection.execute(
        _KEEP_SOURCE,
        source.key.source_id,
        source.key.live,
        source.state,
        source.simulated,
        source.reason,
        source.failure_count,
        source.retry_time,
        source.assessed_min_entropy,
        source.chunk_time,
    )


async def _kept_lift(connection: Connection, request_id: str) -> Lift:
    row = await connection.fetchrow(_LIFT_OF, request_id)
    assert row is not None  # noqa: S101 - lifts are never deleted
    return _lift(row)


def _lift(row: asyncpg.Record) -> Lift:
    seal = signing_pb2.Seal.FromString(row["seal"]) if row["seal"] else None
    return Lift(SourceKey(row["source_id"], row["live"]), row["record"], seal)


def _source(row: asyncpg.Record) -> Source:
    return Source(
        SourceKey(row["source_id"], row["live"]),
        State(row["state"]),
        row["simulated"],
        row["reason"],
        row["failure_count"],
        row["retry_time"],
        row["assessed_min_entropy"],
        row["chunk_time"],
    )


def _chunk_values(chunk: Chunk) -> tuple[object, ...]:
    raw = chunk.raw
    return (
        chunk.chunk_id,
        raw.source.source_id,
        raw.source.live,
        raw.job_id,
        raw.simulated,
        raw.engine,
        raw.calibration_id,
        raw.circuit_sha256,
        8 * len(raw.data),
        chunk.credited_bits,
        list(chunk.digests),
        chunk.report,
        chunk.failure,
        raw.collect_time,
    )
