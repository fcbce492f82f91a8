"""Lateness: how far past the median that was told for it a job's whole time goes, in nine of ten jobs. Pure.

What is added up of two 90th percentiles, of the queue and of the run, is more than that of their sum, and what models
say of their spread is a guess. So the ratio of time taken and median told is kept by itself, for each queue, length of
it, and engine, and what is told is an order statistic of the last ones: if the next ratio is drawn as they were, it is
below with a probability of 0.9 to 0.9 + 1 / (n + 1) (split-conformal: Lei et al., JASA 113, 2018).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from services.routing.waiting import rung

LateKey = tuple[str, int, str]
"""The queue, the power of four of the jobs that were before, and the engine; -1 stands for any number of jobs."""
ANY = -1
FEWEST = 10
"""Observations from which a ratio is told; with fewer, that of the queue and engine whatever was before, or none."""
_LAST = 200
"""Observations that count: machines and loads change."""
_PART = 0.9
_LEAST_SECONDS = 1e-6


class Lateness:
    """What was observed."""

    def __init__(self) -> None:
        """Begin without any observation."""
        self._known: dict[LateKey, deque[float]] = {}

    def observe(self, queue: str, depth: int, engine: str, *, told: float, took: float) -> None:
        """Take in a job that took so many seconds, where the median was told to be `told`."""
        if told < _LEAST_SECONDS or took < _LEAST_SECONDS:
            return
        for key in ((queue, rung(depth), engine), (queue, ANY, engine)):
            self._known.setdefault(key, deque(maxlen=_LAST)).append(took / told)

    def told(self) -> dict[LateKey, float]:
        """The ratios that enough jobs tell, 1 at least."""
        return {key: max(1.0, _high(known)) for key, known in self._known.items() if len(known) >= FEWEST}


def _high(ratios: deque[float]) -> float:
    count = len(ratios)
    return sorted(ratios)[min(count, math.ceil(_PART * (count + 1))) - 1]


def late(told: Mapping[LateKey, float], queue: str, depth: int, engine: str) -> float | None:
    """The ratio for a job; None where too little is known of its like."""
    return told.get((queue, rung(depth), engine)) or told.get((queue, ANY, engine))
