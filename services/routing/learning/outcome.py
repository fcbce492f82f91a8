"""Outcomes: what became of a job, beside what was predicted of it. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.routing.decision import DecisionId, JobId
from services.routing.program import Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A job that ended, as its event told of it."""

    job_id: JobId
    decision_id: DecisionId | None
    """The choice that sent it to its backend; None where the event names none."""
    backend_id: str
    """Where it ran."""
    engine: str
    calibration_id: str | None
    error_type: str | None
    """Why it failed; None for a job that completed."""
    fidelity: float | None
    """Against the ideal distribution, 0 to 1, measured on a machine or twin; None where there was nothing to measure:
    an exact simulation, an estimate from the calibration, a failure."""
    queue_seconds: float
    run_seconds: float
    forecast: Forecast | None
    """What the models said of this backend before learning; None where it was moved to another one."""
    end_time: dt.datetime

    @property
    def completed(self) -> bool:
        """Whether there is a result."""
        return self.error_type is None
