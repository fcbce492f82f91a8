"""The SQL of benchmarks, and of what the scoreboard reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import asyncpg
from qm.routing.v1 import routing_pb2 as pb

from mesh.database import Database
from services.routing.benchmarks.benchmark import Benchmark, BenchmarkId, Cell, Measurement
from services.routing.learning.outcome_store import outcome_of

_PLANNED = """
SELECT backend_id, family, qubit_count, max(create_time) AS create_time FROM benchmarks
GROUP BY backend_id, family, qubit_count
"""
_INSERT = """
INSERT INTO benchmarks (benchmark_id, backend_id, family, qubit_count, depth, two_qubit_gate_count, shot_count, seed,
                        create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_OPEN = "SELECT * FROM benchmarks WHERE start_time IS NULL ORDER BY create_time LIMIT 1"
_START = """
UPDATE benchmarks SET job_id = $2, start_time = coalesce(start_time, $3) WHERE benchmark_id = $1 RETURNING benchmark_id
"""
_NEWEST = """
SELECT * FROM (
  SELECT DISTINCT ON (backend_id, family, qubit_count) benchmarks.benchmark_id, benchmarks.family,
         benchmarks.qubit_count, benchmarks.depth, benchmarks.two_qubit_gate_count, benchmarks.shot_count,
         benchmarks.seed, benchmarks.create_time, outcomes.*
  FROM benchmarks JOIN outcomes USING (job_id, backend_id)
  WHERE ($1 = '' OR backend_id = $1) AND ($2 = '' OR family = $2)
    AND outcomes.error_type IS NULL AND outcomes.fidelity IS NOT NULL
  ORDER BY backend_id, family, qubit_count, outcomes.end_time DESC) AS newest
ORDER BY end_time DESC LIMIT $3
"""
_FAMILIES = "SELECT job_id, family FROM benchmarks WHERE job_id = ANY($1::uuid[])"
_CHOICES = """
SELECT grounds.answer FROM outcomes JOIN decisions USING (decision_id)
JOIN grounds ON grounds.digest = decisions.grounds
WHERE decisions.hardware = 'auto' AND NOT outcomes.moved ORDER BY outcomes.number DESC LIMIT $1
"""


class BenchmarkStore:
    """Where benchmarks are planned, and found again beside their outcomes."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def planned(self) -> dict[Cell, dt.datetime]:
        """When each cell was last planned."""
        rows = await self._database.fetch(_PLANNED)
        return {Cell(row["backend_id"], row["family"], row["qubit_count"]): row["create_time"] for row in rows}

    async def open(self) -> Benchmark | None:
        """A benchmark that was planned and not started."""
        row = await self._database.fetchrow(_OPEN)
        return None if row is None else _benchmark(row)

    async def add(self, benchmark: Benchmark) -> None:
        """Plan one."""
        cell = benchmark.cell
        await self._database.execute(
            _INSERT, benchmark.benchmark_id, cell.backend_id, cell.family, cell.qubit_count, benchmark.depth,
            benchmark.two_qubit_gate_count, benchmark.shot_count, benchmark.seed, benchmark.create_time,
        )  # fmt: skip

    async def start(self, benchmark_id: BenchmarkId, job_id: str | None, now: dt.datetime) -> bool:
        """Note the job of a benchmark, None where it was refused; False where there is no such benchmark."""
        return await self._database.fetchrow(_START, benchmark_id, job_id, now) is not None

    async def newest(self, backend_id: str, family: str, limit: int) -> list[Measurement]:
        """The newest measurement of each cell, newest first; empty names stand for all."""
        rows = await self._database.fetch(_NEWEST, backend_id, family, limit)
        return [Measurement(_benchmark(row), outcome_of(row)) for row in rows]

    async def families(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The family of each job that is a benchmark."""
        return {str(row["job_id"]): row["family"] for row in await self._database.fetch(_FAMILIES, job_ids)}

    async def choices(self, limit: int) -> list[pb.Decision]:
        """The last decisions for which it was left to routing to choose, and whose jobs have ended."""
        return [pb.Decision.FromString(row["answer"]) for row in await self._database.fetch(_CHOICES, limit)]


def _benchmark(row: asyncpg.Record) -> Benchmark:
    return Benchmark(
        benchmark_id=BenchmarkId(str(row["benchmark_id"])),
        cell=Cell(row["backend_id"], row["family"], row["qubit_count"]),
        seed=row["seed"],
        depth=row["depth"],
        two_qubit_gate_count=row["two_qubit_gate_count"],
        shot_count=row["shot_count"],
        create_time=row["create_time"],
    )
