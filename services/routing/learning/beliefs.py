"""Beliefs: what has been learned, as the policy uses it. Immutable, with a version that names what it was learned from.

Fidelity: a backend's errors are (1 + effect) times those that its calibration tells, so that its fidelity is
F^(1 + effect). Time: its runs take exp(effect) times as long as predicted, by backend and engine.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from services.routing.learning.effects import Effect
from services.routing.learning.exploration import Prospect, pick
from services.routing.program import Estimate, Forecast

NORMAL_90 = 1.2816
"""The 90th percentile of the normal distribution."""
NORMAL_95 = 1.6449
_MOST_ERRORS = (-0.5, 2.0)
"""Bounds of the effect on errors: from half of them to three times as many."""
_MOST_TIME = math.log(8)
_NOTHING = Effect(0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of every backend."""

    version: str = "none"
    """Names the rules and the outcomes; the same version is the same beliefs."""
    fidelity: Mapping[Hashable, Effect] = field(default_factory=dict)
    """By backend."""
    time: Mapping[Hashable, Effect] = field(default_factory=dict)
    """By backend and engine."""
    other_fidelity: Effect = _NOTHING
    """Of backends without outcomes."""
    other_time: Effect = _NOTHING

    def corrected(self, backend_id: str, estimate: Estimate) -> Estimate:
        """The estimate of a backend's run, without its queue, by what has been learned; `forecast` keeps what it was.

        An exact fidelity, whose interval is a point, stays what it is. An estimate that was corrected before is
        corrected from its forecast again.
        """
        forecast = estimate.forecast or Forecast.of(estimate)
        fidelity, low, high = self.fidelity_of(backend_id, forecast)
        p50, p90 = self._times(self.time.get((backend_id, estimate.engine), self.other_time), forecast)
        return replace(
            estimate,
            fidelity=fidelity,
            fidelity_low=low,
            fidelity_high=high,
            duration_p50=p50,
            duration_p90=p90,
            forecast=forecast,
        )

    def fidelity_of(self, backend_id: str, forecast: Forecast) -> tuple[float, float, float]:
        """The fidelity that is believed where the models say `forecast`, and its bounds at 90 %."""
        effect = self.fidelity.get(backend_id, self.other_fidelity)
        value, low, high = forecast.fidelity, forecast.fidelity_low, forecast.fidelity_high
        if high <= low or not 0 < value < 1:
            return value, low, high
        mean = min(_MOST_ERRORS[1], max(_MOST_ERRORS[0], effect.mean))
        moved = value ** (1 + mean)
        unsure = NORMAL_95 * leverage(value) * effect.deviation
        below = math.hypot(effect.noise * (value - low), unsure)
        above = math.hypot(effect.noise * (high - value), unsure)
        return moved, max(0.0, moved - below), min(1.0, moved + above)

    def deviation(self, backend_id: str, fidelity: float) -> float:
        """How uncertain a backend's effect leaves a fidelity, as a standard deviation; what exploring could tell."""
        return leverage(fidelity) * self.fidelity.get(backend_id, self.other_fidelity).deviation

    def drift_time(self, backend_id: str) -> dt.datetime | None:
        """When a backend was found to have drifted from its calibration; None while it keeps to it."""
        return self.fidelity.get(backend_id, self.other_fidelity).drift_time

    def pick(self, ranked: Sequence[Prospect], random: Random, *, allowed: bool) -> int:
        """The place of the one to take among the `ranked`, best first; 0 unless `allowed` (`may_explore`)."""
        return pick(ranked, random, explore=allowed)

    def _times(self, effect: Effect, forecast: Forecast) -> tuple[dt.timedelta, dt.timedelta]:
        factor = math.exp(min(_MOST_TIME, max(-_MOST_TIME, effect.mean)))
        width = math.hypot(effect.noise * time_deviation(forecast), effect.deviation)
        return forecast.duration_p50 * factor, forecast.duration_p50 * (factor * math.exp(NORMAL_90 * width))


def leverage(fidelity: float) -> float:
    """By how much a fidelity falls for each unit of the effect: -F ln F, the slope of F^(1 + effect) at 0."""
    return -fidelity * math.log(fidelity) if 0 < fidelity < 1 else 0.0


def fidelity_deviation(forecast: Forecast) -> float:
    """The standard deviation of a predicted fidelity, from its interval of 90 %."""
    return (forecast.fidelity_high - forecast.fidelity_low) / (2 * NORMAL_95)


def time_deviation(forecast: Forecast) -> float:
    """The standard deviation of the logarithm of a predicted time."""
    p50, p90 = forecast.duration_p50.total_seconds(), forecast.duration_p90.total_seconds()
    return math.log(p90 / p50) / NORMAL_90 if 0 < p50 < p90 else 0.0
