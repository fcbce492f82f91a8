"""Outcomes: what became of a job, beside what was predicted of it. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.routing.decision import DecisionId, JobId
from services.routing.exposure import Exposure
from services.routing.program import Forecast


@dataclass(frozen=True, slots=True)
class Promise:
    """What the decision told its caller: with its queue, and corrected by what was learned before."""

    fidelity: float
    fidelity_low: float
    fidelity_high: float
    seconds_p50: float
    seconds_p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A job that ended, as its event told of it."""

    job_id: JobId
    decision_id: DecisionId | None
    """The choice that sent it to its backend; None where the event names none."""
    backend_id: str
    """Where it ran."""
    engine: str
    calibration_id: str | None = None
    fidelity: float | None = None
    """Against the ideal distribution, 0 to 1; None where it failed."""
    fidelity_method: str = ""
    queue_seconds: float
    run_seconds: float
    """From when a worker took it until its end."""
    engine_seconds: float | None = None
    """What of that its engine took; None where it failed."""
    error_type: str | None = None
    """Why it failed; None for a job that completed."""
    backend_fault: bool = False
    """Whether it failed by a fault of its hardware or ours, and not of its program."""
    forecast: Forecast | None = None
    """What the models said of this backend before learning; None where they did not."""
    exposure: Exposure | None = None
    """The places on the machine that it ran on, as its decision tells; None where that is not known."""
    promise: Promise | None = None
    moved: bool = False
    """Whether the job went on elsewhere after this fault; its end is an outcome of its own."""
    queue: str = ""
    """Where it was sent to wait (standing.py), as its decision tells; empty where that was not kept."""
    queue_depth: int = 0
    """The jobs that were before it then."""
    end_time: dt.datetime

    @property
    def measured_fidelity(self) -> float | None:
        """The fidelity where it was measured on a machine or a twin.

        Not that of the shots of an exact simulation, which tells of chance, nor one that a calibration tells.
        """
        noisy = self.calibration_id is not None
        return self.fidelity if noisy and self.fidelity_method == MEASURED else None


MEASURED = "ideal_comparison"
"""The method of a fidelity that compares counts with the ideal distribution."""
