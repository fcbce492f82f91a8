"""Outcomes of a pool of machines, made up with known truths."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from dataclasses import replace

from services.routing.decision import JobId
from services.routing.exposure import Exposure
from services.routing.learning.beliefs import Beliefs, believed_times
from services.routing.learning.outcome import Outcome
from services.routing.program import Estimate, Forecast

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
DEVIATION = 0.02


def forecast(fidelity: float, seconds: float = 1.0, deviation: float = DEVIATION) -> Forecast:
    half = 1.6449 * deviation
    p50 = dt.timedelta(seconds=seconds)
    return Forecast(fidelity, fidelity - half, fidelity + half, p50, p50 * 1.5)


def estimate(fidelity: float, seconds: float = 1.0, engine: str = "twin") -> Estimate:
    told = forecast(fidelity, seconds)
    return Estimate(
        engine=engine,
        duration_p50=told.duration_p50,
        duration_p90=told.duration_p90,
        fidelity=told.fidelity,
        fidelity_low=told.fidelity_low,
        fidelity_high=told.fidelity_high,
        price=0,
        memory_bytes=0,
    )


def corrected(beliefs: Beliefs, backend_id: str, told: Estimate) -> Estimate:
    """An estimate of a run without a queue, as a choice corrects it by what is believed."""
    models = Forecast(told.fidelity, told.fidelity_low, told.fidelity_high, told.duration_p50, told.duration_p90)
    fidelity, low, high = beliefs.fidelity_of(backend_id, models)
    p50, p90 = believed_times(beliefs.time.get((backend_id, told.engine), beliefs.other_time), models)
    return replace(
        told,
        fidelity=fidelity,
        fidelity_low=low,
        fidelity_high=high,
        duration_p50=p50,
        duration_p90=p90,
        forecast=models,
    )


def outcome(  # noqa: PLR0913 - what a test may want to be different
    backend: str,
    predicted: float,
    fidelity: float | None,
    *,
    seconds: float = 1.0,
    number: int = 0,
    calibration: str = "c@1",
    error: str | None = None,
    told: Forecast | None = None,
    exposure: Exposure | None = None,
) -> Outcome:
    return Outcome(
        job_id=JobId(str(uuid.UUID(int=number))),
        decision_id=None,
        backend_id=backend,
        engine="twin",
        calibration_id=calibration,
        error_type=error,
        fidelity=fidelity,
        fidelity_method="exact" if fidelity is None else "ideal_comparison",
        queue_seconds=0.0,
        run_seconds=seconds,
        engine_seconds=seconds,
        forecast=told or forecast(predicted),
        exposure=exposure,
        end_time=START + dt.timedelta(minutes=number),
    )


def noisy(source: random.Random, predicted: float, effect: float, deviation: float = DEVIATION) -> float:
    """A measured fidelity of a machine whose errors are (1 + effect) times those predicted."""
    return min(1.0, max(0.0, predicted ** (1 + effect) + source.gauss(0, deviation)))
