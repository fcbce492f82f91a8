"""Waiting: how long jobs lie between their acceptance and their engine, and between that and their end. Pure.

For each queue, and each power of four of the jobs before it, the median and the 90th percentile of the wait for each
of them, w / (1 + n) behind n jobs, are followed by stochastic approximation (Robbins and Monro, 1951): after an
observation x the estimate q of the quantile t moves by c (t - [x <= q]) in the logarithm. Wherever waits come from, the
part of them below q tends to t. A queue that is served at a rate is told as that: twice as long behind twice as many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MEDIAN, HIGH = 0.5, 0.9
_LEAST_SECONDS = 1e-4
_LARGEST_STEP = 1.0
_LEAST_STEP = 0.05
"""So that what has changed is followed: after about 20 observations the old ones count little."""
_PRIOR = 2
"""Observations that the first one counts for."""
_FIRST_SPREAD = 1.0
"""What the 90th percentile is taken to be above the first wait, in the logarithm, until more have come."""
_GRID = 0.05
"""What is told of a logarithm is a multiple of this, so that it does not change with every job."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait in one queue, in seconds."""

    p50: float
    p90: float


NONE = Wait(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The logarithms of two quantiles, and how many observations they are from."""

    middle: float
    high: float
    count: int = 1

    def after(self, seconds: float) -> Quantiles:
        """With one more observation."""
        x = math.log(max(seconds, _LEAST_SECONDS))
        step = max(_LEAST_STEP, _LARGEST_STEP * _PRIOR / (self.count + _PRIOR))
        middle = self.middle + step * (MEDIAN - (x <= self.middle))
        high = self.high + step * (HIGH - (x <= self.high))
        return replace(self, middle=middle, high=max(middle, high), count=self.count + 1)

    @property
    def wait(self) -> Wait:
        """In seconds, as it is told."""
        return Wait(*(math.exp(_GRID * round(each / _GRID)) for each in (self.middle, self.high)))


class Waits:
    """What was observed of every queue."""

    def __init__(self) -> None:
        """Begin without any observation."""
        self._known: dict[tuple[str, int], Quantiles] = {}

    def observe(self, queue: str, depth: int, seconds: float) -> bool:
        """Take in the wait of a job that came when `depth` were before it; whether what is told has changed."""
        key, seconds = (queue, rung(depth)), seconds / (1 + depth)
        known = self._known.get(key)
        if known is None:
            x = math.log(max(seconds, _LEAST_SECONDS))
            self._known[key] = Quantiles(x, x + _FIRST_SPREAD)
            return True
        fresh = self._known[key] = known.after(seconds)
        return fresh.wait != known.wait

    def expected(self, queue: str, depth: int) -> Wait | None:
        """The wait behind `depth` jobs; where none came behind about so many, by the nearest number that is known.

        None for a queue of which nothing is known.
        """
        own = rung(depth)
        rungs = sorted((abs(each - own), each) for name, each in self._known if name == queue)
        if not rungs:
            return None
        wait = self._known[queue, rungs[0][1]].wait
        return Wait(wait.p50 * (1 + depth), wait.p90 * (1 + depth))


def rung(depth: int) -> int:
    """0 for an empty queue, 1 for 1 to 3 jobs, 2 for 4 to 15, and so on."""
    return (depth.bit_length() + 1) // 2
