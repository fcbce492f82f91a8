"""The SQL of outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import msgspec

from mesh.database import Database
from services.routing.decision import DecisionId, JobId
from services.routing.exposure import Exposure
from services.routing.learning.outcome import Outcome, Promise
from services.routing.program import Estimate, Forecast

# One writer at a time, so that numbers are committed in their order: who has read up to one has read all before it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('routing.outcomes'))"
_INSERT = """
INSERT INTO outcomes (job_id, decision_id, backend_id, engine, calibration_id, fidelity, fidelity_method, queue_seconds,
                      run_seconds, engine_seconds, error_type, backend_fault, forecast, promise, end_time,
                      moved)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::float8[],
                     $9::float8[], $10::float8[], $11::text[], $12::bool[], $13::jsonb[], $14::jsonb[],
                     $15::timestamptz[], $16::bool[])
ON CONFLICT (job_id, moved) DO NOTHING
"""
# Decisions are written behind the answer, well before a round of learning comes to the outcome; one that was lost
# leaves its queue unknown.
# What was predicted of a backend that a job was moved to stands with the decision that moved it.
_AFTER = """
SELECT outcomes.*, decisions.queue, decisions.queue_depth, again.estimate,
       CASE WHEN decisions.backend_id = outcomes.backend_id THEN decisions.exposure ELSE again.exposure END AS exposure
FROM outcomes LEFT JOIN decisions USING (decision_id)
LEFT JOIN LATERAL (
  SELECT grounds.candidates -> 0 -> 'estimate' AS estimate, later.exposure
  FROM decisions AS later JOIN grounds ON grounds.digest = later.grounds
  WHERE outcomes.forecast IS NULL AND later.job_id = outcomes.job_id AND later.backend_id = outcomes.backend_id
  ORDER BY later.create_time DESC LIMIT 1
) AS again ON true
WHERE number > $1 ORDER BY number LIMIT $2
"""
_LAST = "SELECT * FROM outcomes WHERE NOT moved ORDER BY number DESC LIMIT $1"
_BEFORE_LAST = (
    "SELECT coalesce(min(number), 1) - 1 FROM (SELECT number FROM outcomes ORDER BY number DESC LIMIT $1) AS o"
)


class OutcomeStore:
    """Where outcomes are kept, one for each job, numbered as they came."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def keep(self, outcomes: Sequence[Outcome]) -> list[Exception | None]:
        """Keep those whose jobs have none yet, in one commit."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK)
            await connection.execute(
                _INSERT,
                [each.job_id for each in outcomes],
                [each.decision_id for each in outcomes],
                [each.backend_id for each in outcomes],
                [each.engine for each in outcomes],
                [each.calibration_id for each in outcomes],
                [each.fidelity for each in outcomes],
                [each.fidelity_method for each in outcomes],
                [each.queue_seconds for each in outcomes],
                [each.run_seconds for each in outcomes],
                [each.engine_seconds for each in outcomes],
                [each.error_type for each in outcomes],
                [each.backend_fault for each in outcomes],
                [each.forecast for each in outcomes],
                [each.promise for each in outcomes],
                [each.end_time for each in outcomes],
                [each.moved for each in outcomes],
            )
        return [None] * len(outcomes)

    async def after(self, number: int, limit: int) -> list[tuple[int, Outcome]]:
        """The outcomes that came after one, in their order, with their numbers."""
        return [(row["number"], _with_decision(row)) for row in await self._database.fetch(_AFTER, number, limit)]

    async def start_of_last(self, count: int) -> int:
        """The number after which the last `count` outcomes come."""
        number: int = await self._database.fetchval(_BEFORE_LAST, count)
        return number

    async def last(self, count: int) -> list[Outcome]:
        """The last ones, newest first."""
        return [outcome_of(row) for row in await self._database.fetch(_LAST, count)]


def _with_decision(row: asyncpg.Record) -> Outcome:
    """The outcome of a row with its decision's queue, or with what was predicted where its job was moved to."""
    found = outcome_of(row)
    exposure = msgspec.convert(row["exposure"], Exposure | None)
    if found.forecast is not None:
        return replace(found, exposure=exposure, queue=row["queue"] or "", queue_depth=row["queue_depth"] or 0)
    estimate = msgspec.convert(row["estimate"], Estimate | None)
    return found if estimate is None else replace(found, exposure=exposure, forecast=_uncorrected(estimate))


def _uncorrected(estimate: Estimate) -> Forecast:
    """What the models said; an estimate that nothing has corrected is that, less its queue."""
    if estimate.forecast is not None:
        return estimate.forecast
    return Forecast(
        estimate.fidelity,
        estimate.fidelity_low,
        estimate.fidelity_high,
        estimate.duration_p50 - estimate.queue_p50,
        estimate.duration_p90 - estimate.queue_p90,
    )


def outcome_of(row: asyncpg.Record) -> Outcome:
    """The outcome of a row."""
    return Outcome(
        job_id=JobId(str(row["job_id"])),
        decision_id=DecisionId(str(row["decision_id"])) if row["decision_id"] else None,
        backend_id=row["backend_id"],
        engine=row["engine"],
        calibration_id=row["calibration_id"],
        fidelity=row["fidelity"],
        fidelity_method=row["fidelity_method"],
        queue_seconds=row["queue_seconds"],
        run_seconds=row["run_seconds"],
        engine_seconds=row["engine_seconds"],
        error_type=row["error_type"],
        backend_fault=row["backend_fault"],
        moved=row["moved"],
        forecast=msgspec.convert(row["forecast"], Forecast | None),
        promise=msgspec.convert(row["promise"], Promise | None),
        end_time=row["end_time"].astimezone(dt.UTC),
    )
