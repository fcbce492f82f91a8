"""Decisions: a choice, what it was made from, and for which job. What routing learns from later."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NewType

from services.routing.policy import Choice
from services.routing.program import Wish

DecisionId = NewType("DecisionId", str)
JobId = NewType("JobId", str)
TeamId = NewType("TeamId", str)


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice for a job."""

    decision_id: DecisionId
    job_id: JobId
    team_id: TeamId
    wish: Wish
    choice: Choice
    create_time: dt.datetime
