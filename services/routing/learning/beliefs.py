"""Beliefs: what has been learned, as the policy uses it. Immutable, with a version that names what it was learned from.

Fidelity: a backend's errors are (1 + effect) times those that its calibration tells, so that its fidelity is
F^(1 + effect). Time: its runs take exp(effect) times as long as predicted, by backend and engine.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from services.routing.exposure import Exposure
from services.routing.learning.effects import Effect
from services.routing.learning.lateness import LateKey
from services.routing.learning.sights import Sights
from services.routing.program import Forecast

NORMAL_90 = 1.2816
"""The 90th percentile of the normal distribution."""
NORMAL_95 = 1.6449
_MOST_ERRORS = (-0.5, 2.0)
"""Bounds of the effect on errors: from half of them to three times as many."""
_MOST_TIME = math.log(8)
_NOTHING = Effect(0.0, 0.0, 1.0)
_LEAST_WIDTH = 0.35
"""How much narrower an interval becomes at most by what outcomes explain."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of every backend."""

    version: str = "none"
    """Names the rules and the outcomes; the same version is the same beliefs."""
    fidelity: Mapping[Hashable, Effect] = field(default_factory=dict)
    """By backend."""
    sights: Mapping[Hashable, Sights] = field(default_factory=dict)
    """Likewise, where it is known on which places it was observed."""
    time: Mapping[Hashable, Effect] = field(default_factory=dict)
    """By backend and engine."""
    other_fidelity: Effect = _NOTHING
    """Of backends without outcomes."""
    other_time: Effect = _NOTHING
    late: Mapping[LateKey, float] = field(default_factory=dict)
    """How many times its median a job's whole time is at the 90th percentile (lateness.py)."""

    def fidelity_of(
        self, backend_id: str, forecast: Forecast, exposure: Exposure | None = None
    ) -> tuple[float, float, float]:
        """The fidelity that is believed where the models say `forecast`, and its bounds at 90 %."""
        return believed_fidelity(self.effect_on(backend_id, exposure), forecast)

    def effect_on(self, backend_id: str, exposure: Exposure | None) -> Effect:
        """The effect on the errors of a run; None where its places are not known."""
        effect = self.fidelity.get(backend_id, self.other_fidelity)
        sights = self.sights.get(backend_id)
        if exposure is None or sights is None:
            return effect
        mean, variance = sights.effect(exposure)
        return replace(effect, mean=mean, deviation=math.sqrt(variance), counted=sights.scatter.of_run(exposure))

    def drift_time(self, backend_id: str) -> dt.datetime | None:
        """When a backend was found to have drifted from its calibration; None while it keeps to it."""
        return self.fidelity.get(backend_id, self.other_fidelity).drift_time


def believed_fidelity(effect: Effect, forecast: Forecast) -> tuple[float, float, float]:
    """The fidelity, and its bounds at 90 %, of a backend with an effect; one that is exact stays what it is."""
    value, low, high = forecast.fidelity, forecast.fidelity_low, forecast.fidelity_high
    if high <= low or not 0 < value < 1:
        return value, low, high
    mean = min(_MOST_ERRORS[1], max(_MOST_ERRORS[0], effect.mean))
    moved = value ** (1 + mean)
    more = (NORMAL_95 * leverage(value)) ** 2 * (effect.deviation**2 - effect.counted)
    if more >= 0:
        below, above = (math.hypot(effect.noise * told, math.sqrt(more)) for told in (value - low, high - value))
    else:
        below, above = _narrowed(value - low, high - value, effect.noise, more)
    return moved, max(0.0, moved - below), min(1.0, moved + above)


def _narrowed(below: float, above: float, noise: float, more: float) -> tuple[float, float]:
    """An interval without the drift that outcomes explain; `more` (< 0) is what that changes of its half's square.

    What is lopsided about an interval is the drift in it, so that it becomes as even as that is explained.
    """
    half = (below + above) / 2
    part = math.sqrt(max(_LEAST_WIDTH**2, noise**2 + more / half**2))
    even = max(0.0, 1 - part**2)
    return part * (even * half + (1 - even) * below), part * (even * half + (1 - even) * above)


def believed_times(effect: Effect, forecast: Forecast) -> tuple[dt.timedelta, dt.timedelta]:
    """How long a run takes, without its queue: the median and the 90th percentile."""
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
