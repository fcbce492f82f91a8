"""Evidence: what observations say of one effect, in two sums that fade with time. Pure.

An observation is r = x * effect + noise, with noise of a known standard deviation s. Of all observations together only
sum(x^2 / s^2) and sum(x * r / s^2) matter, each weighted by 2^(-age / half-life).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

_START = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sums, as of `time`."""

    precision: float = 0.0
    """Inverse of the variance with which the observations alone know the effect."""
    weighted: float = 0.0
    """The precision times the effect that fits them best."""
    time: dt.datetime = _START

    @property
    def effect(self) -> float:
        """The effect that fits the observations best; 0 without any."""
        return self.weighted / self.precision if self.precision else 0.0

    def at(self, time: dt.datetime, half_life: dt.timedelta) -> Evidence:
        """The sums as they have faded by a later time; an earlier one changes nothing."""
        age = (time - self.time) / half_life
        return self.times(0.5**age, time) if age > 0 else self

    def times(self, factor: float, time: dt.datetime) -> Evidence:
        """As if from `factor` times as many observations."""
        return Evidence(self.precision * factor, self.weighted * factor, time)

    def plus(self, x: float, residual: float, deviation: float) -> Evidence:
        """With one more observation."""
        weight = x / deviation**2
        return Evidence(self.precision + weight * x, self.weighted + weight * residual, self.time)

    def blurred(self, variance: float) -> Evidence:
        """As if the effect had been known with so much more variance."""
        factor = 1 / (1 + self.precision * variance)
        return Evidence(self.precision * factor, self.weighted * factor, self.time)

    def joined(self, other: Evidence) -> Evidence:
        """Both, as of the same time."""
        return Evidence(self.precision + other.precision, self.weighted + other.weighted, self.time)
