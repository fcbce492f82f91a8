"""The only SQL of circuits at providers. A worker's writes name the worker: without its lease they change nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import asyncpg
import msgspec

from mesh.database import Database
from services.execution.job import JobId
from services.execution.lease import LeaseLost
from services.execution.live.job import ProviderJob, Stand
from services.execution.live.provider import ProviderJobId
from services.execution.live.target import Compiled, Reading

_HELD = "EXISTS (SELECT FROM jobs WHERE job_id = $1 AND worker = $2 AND state = 2)"
_PLAN = f"""
INSERT INTO provider_jobs (job_id, circuit_index, stand, circuit, create_time, contact_time)
SELECT $1, index + (SELECT count(*) FROM provider_jobs WHERE job_id = $1 AND left_behind), 1, circuit, $5, $5
FROM unnest($3::int[], $4::bytea[]) AS planned (index, circuit) WHERE {_HELD}
ON CONFLICT (job_id, circuit_index) DO NOTHING
"""  # noqa: S608 - constants
_CHANGE = f"""
UPDATE provider_jobs SET stand = $4, contact_time = coalesce($5, contact_time), submit_time = coalesce($6, submit_time),
                         provider_job_id = coalesce($7, provider_job_id), reading = coalesce($8, reading),
                         cost_micros = coalesce($9, cost_micros)
WHERE job_id = $1 AND circuit_index = $3 AND {_HELD}
RETURNING *
"""  # noqa: S608 - constants


class LiveStore:
    """Circuits at providers, in PostgreSQL."""

    def __init__(self, database: Database, worker: str) -> None:
        """Use execution's own schema, for one worker."""
        self._database = database
        self._worker = worker

    async def of_job(self, job_id: JobId) -> list[ProviderJob]:
        """The circuits of a job where it is now, in order; not those of a machine that it had to leave."""
        rows = await self._database.fetch(
            "SELECT * FROM provider_jobs WHERE job_id = $1 AND NOT left_behind ORDER BY circuit_index", job_id
        )
        return [_provider_job(row) for row in rows]

    async def plan(self, job_id: JobId, first: int, circuits: Sequence[Compiled], now: dt.datetime) -> None:
        """Add circuits, the first of which is number `first` on this machine; nothing without the lease."""
        indices = list(range(first, first + len(circuits)))
        encoded = [msgspec.msgpack.encode(circuit) for circuit in circuits]
        await self._database.execute(_PLAN, job_id, self._worker, indices, encoded, now)

    async def change(
        self,
        circuit: ProviderJob,
        stand: Stand,
        *,
        heard: dt.datetime | None = None,
        sent: dt.datetime | None = None,
        provider_job_id: ProviderJobId | None = None,
        result: tuple[Reading, int | None] | None = None,
    ) -> ProviderJob:
        """Note what has become of a circuit; `heard` is when its provider answered, `sent` when it was sent.

        Raises LeaseLost where another worker has its job.
        """
        reading, cost = result or (None, None)
        row = await self._database.fetchrow(
            _CHANGE,
            circuit.job_id,
            self._worker,
            circuit.index,
            stand,
            heard,
            sent,
            provider_job_id,
            msgspec.msgpack.encode(reading) if reading else None,
            cost,
        )
        if row is None:
            raise LeaseLost
        return _provider_job(row)


def _provider_job(row: asyncpg.Record) -> ProviderJob:
    reading = row["reading"]
    return ProviderJob(
        job_id=JobId(row["job_id"]),
        index=row["circuit_index"],
        stand=Stand(row["stand"]),
        circuit=msgspec.msgpack.decode(row["circuit"], type=Compiled),
        create_time=row["create_time"],
        submit_time=row["submit_time"],
        contact_time=row["contact_time"],
        provider_job_id=row["provider_job_id"],
        reading=msgspec.msgpack.decode(reading, type=Reading) if reading else None,
        cost_micros=row["cost_micros"],
    )
