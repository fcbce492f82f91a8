"""What shots add: from the fidelity of a distribution to that of the counts of some shots of it. Pure.

Of N shots with the frequencies n(x) / N, F = (sum_x sqrt(p(x) n(x) / N))^2 has, by the delta method, the variance
F (1 - F) / N whatever p is, and with K outcomes it is (K - 1) / (4 N) too small on average, which scatters by
(K - 1) / (8 N^2): there the statistic is a quarter of a chi-square of K - 1 degrees of freedom.
"""

from __future__ import annotations

import math

SHOTS_PER_OUTCOME = 10
"""Shots for each outcome from which counts are compared with the ideal distribution (execution's `is_comparable`)."""
_NORMAL_95 = 1.6449


def of_counts(value: float, low: float, high: float, *, shots: int, outcomes: int) -> tuple[float, float, float]:
    """A fidelity of a distribution and its bounds of 90 %, as those of the counts of so many shots.

    0 outcomes stand for a number that is not known: then what they take away is left out, as it is where there are so
    few shots that their counts are compared with nothing.
    """
    further = outcomes - 1 if outcomes and shots >= SHOTS_PER_OUTCOME * outcomes else 0
    less = min(value, further / (4 * shots))
    scatter = _NORMAL_95 * math.sqrt(value * (1 - value) / shots + further / (8 * shots**2))
    below, above = math.hypot(value - low, scatter), math.hypot(high - value, scatter)
    return value - less, max(0.0, value - less - below), min(1.0, value - less + above)
