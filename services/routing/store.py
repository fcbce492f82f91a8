"""The only SQL of routing. Names need no schema: the search path is routing's own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mesh.database import Database
from services.routing.decision import Decision
from services.routing.program import Estimate

_INSERT = """
INSERT INTO decisions (decision_id, job_id, team_id, hardware, backend_id, shot_count, features, candidates,
                       policy_version, create_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::jsonb[], $8::jsonb[],
                     $9::text[], $10::timestamptz[])
"""


class CandidateRow(msgspec.Struct, frozen=True):
    """A candidate as it is kept, the chosen one first."""

    backend_id: str
    estimate: Estimate | None
    reason: str


class DecisionStore:
    """Where decisions are kept."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, decisions: Sequence[Decision]) -> None:
        """Keep new decisions, all or none."""
        await self._database.execute(
            _INSERT,
            [each.decision_id for each in decisions],
            [each.job_id for each in decisions],
            [each.team_id for each in decisions],
            [each.wish.hardware for each in decisions],
            [each.choice.backend.backend_id for each in decisions],
            [each.wish.shot_count for each in decisions],
            [each.wish.features for each in decisions],
            [_candidates(each) for each in decisions],
            [each.choice.policy_version for each in decisions],
            [each.create_time for each in decisions],
        )


def _candidates(decision: Decision) -> msgspec.Raw:
    """The rows as JSON already: asyncpg would take a list of lists for an array of two dimensions."""
    choice = decision.choice
    chosen = CandidateRow(choice.backend.backend_id, choice.estimate, choice.reason)
    others = [
        CandidateRow(each.candidate.backend.backend_id, each.candidate.estimate, each.reason)
        for each in choice.alternatives
    ]
    return msgspec.Raw(msgspec.json.encode([chosen, *others]))
