"""The only SQL of decisions and calibrations. Names need no schema: the search path is routing's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import asyncpg
import msgspec

from mesh.database import Database
from services.routing.catalogue import Calibration
from services.routing.decision import Decision, DecisionId, JobId, Kept, TeamId
from services.routing.history import Snapshot

# One statement, and so one commit: the grounds that are new, and the decisions made from them.
_INSERT = """
WITH new AS (
INSERT INTO grounds (digest, features, candidates, question, answer)
SELECT * FROM unnest($1::bytea[], $2::jsonb[], $3::jsonb[], $4::bytea[], $5::bytea[])
ON CONFLICT (digest) DO NOTHING
)
INSERT INTO decisions (decision_id, job_id, team_id, hardware, backend_id, shot_count, policy_version, create_time,
                       grounds, queue, queue_depth, exposure)
SELECT * FROM unnest($6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::bigint[], $12::text[],
                     $13::timestamptz[], $14::bytea[], $15::text[], $16::bigint[], $17::jsonb[])
"""

_FIND = """
SELECT decision_id, job_id, team_id, create_time, question, answer
FROM decisions JOIN grounds ON grounds.digest = decisions.grounds
WHERE decision_id = $1 AND ($2::uuid IS NULL OR team_id = $2)
"""

_ADD_CALIBRATIONS = """
INSERT INTO calibrations (calibration_id, backend_id, measure_time, source, medians, create_time)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::jsonb[], $6::timestamptz[])
ON CONFLICT (calibration_id) DO NOTHING
"""

_CALIBRATIONS = """
SELECT calibration_id, backend_id, measure_time, source, medians, create_time FROM calibrations
WHERE $1 = '' OR backend_id = $1 ORDER BY measure_time DESC, calibration_id LIMIT $2
"""
_CALIBRATION = "SELECT * FROM calibrations WHERE calibration_id = $1"
_NEWEST = "SELECT DISTINCT ON (backend_id) * FROM calibrations ORDER BY backend_id, measure_time DESC, calibration_id"


class DecisionStore:
    """Where decisions are kept."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, decisions: Sequence[Decision]) -> None:
        """Keep new decisions, all or none."""
        # In one order everywhere, so that two groups with the same grounds never wait for each other.
        grounds = [each.grounds.encoded() for each in decisions]
        new = sorted({each.digest: each for each in grounds}.items())
        await self._database.execute(
            _INSERT,
            [digest for digest, _ in new],
            [each.features for _, each in new],
            [each.candidates for _, each in new],
            [each.question for _, each in new],
            [each.answer for _, each in new],
            [each.decision_id for each in decisions],
            [each.job_id for each in decisions],
            [each.team_id for each in decisions],
            [each.hardware for each in decisions],
            [each.backend_id for each in decisions],
            [each.shot_count for each in decisions],
            [each.policy_version for each in decisions],
            [each.create_time for each in decisions],
            [each.digest for each in grounds],
            [each.queue for each in decisions],
            [each.queue_depth for each in decisions],
            [each.exposure for each in decisions],
        )

    async def find(self, decision_id: str, team_id: str) -> Kept | None:
        """A decision, of a team unless that is empty; None where it is not kept."""
        row = await self._database.fetchrow(_FIND, decision_id, team_id or None)
        if row is None:
            return None
        return Kept(
            DecisionId(str(row["decision_id"])),
            JobId(str(row["job_id"])),
            TeamId(str(row["team_id"])),
            row["create_time"],
            row["question"],
            row["answer"],
        )


class CalibrationStore:
    """Where calibrations are kept."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, snapshots: Sequence[Snapshot], now: dt.datetime) -> None:
        """Keep those whose ids are new."""
        await self._database.execute(
            _ADD_CALIBRATIONS,
            [each.calibration_id for each in snapshots],
            [each.backend_id for each in snapshots],
            [each.measure_time for each in snapshots],
            [each.source for each in snapshots],
            [msgspec.Raw(msgspec.json.encode(each.medians)) for each in snapshots],
            [now] * len(snapshots),
        )

    async def find(self, calibration_id: str) -> Snapshot | None:
        """A snapshot by its id."""
        row = await self._database.fetchrow(_CALIBRATION, calibration_id)
        return None if row is None else _snapshot(row)

    async def page(self, backend_id: str, size: int) -> list[Snapshot]:
        """Those of a backend, or of all where that is empty; the last measured first."""
        return [_snapshot(row) for row in await self._database.fetch(_CALIBRATIONS, backend_id, size)]

    async def newest(self) -> list[Snapshot]:
        """The last measured of each backend."""
        return [_snapshot(row) for row in await self._database.fetch(_NEWEST)]


def _snapshot(row: asyncpg.Record) -> Snapshot:
    medians = msgspec.convert(row["medians"], Calibration)
    return Snapshot(row["backend_id"], medians, row["measure_time"], row["source"], row["create_time"])
