"""Amplitude estimation by maximum likelihood, without phase estimation (Suzuki et al., arXiv:1904.10246)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaincc

_LARGEST = math.pi / 2
_GRID = 4_001
"""Angles at which the likelihood is first looked at; its narrowest lobe, at power 32, is 120 of them wide."""
_PEAKS = 8
"""The highest of them that are climbed."""
_DROP = 3.841458820694124 / 2
"""How far the log-likelihood falls at the interval's ends: half the 95 % quantile of chi-square for one number."""
_ROUNDING = 1e-12
_CONSISTENT = 1e-3


@dataclass(frozen=True, slots=True)
class Fit:
    """The angle theta, 0 to pi/2, whose sin^2((2m+1) theta) explains best how often each power m hit.

    `low` and `high` bound it with 95 % confidence by the ratio of likelihoods; `p_value` is the chance of a fit as bad
    as this one or worse if the formula holds, which noise breaks.
    """

    theta: float
    low: float
    high: float
    p_value: float

    @property
    def amplitude(self) -> float:
        """Return sin^2(theta)."""
        return math.sin(self.theta) ** 2

    @property
    def interval(self) -> tuple[float, float]:
        """Return the ends of the amplitude's 95 % interval."""
        return math.sin(self.low) ** 2, math.sin(self.high) ** 2

    @property
    def consistent(self) -> bool:
        """Return whether the formula explains the hits, at a level of 0.1 %."""
        return self.p_value >= _CONSISTENT


def fit(powers: Sequence[int], hits: Sequence[int], shots: int) -> Fit:
    """Find the angle from the hits of each power among `shots`."""
    factors = 2 * np.array(powers) + 1.0
    hit, missed = np.array(hits, dtype=float), shots - np.array(hits, dtype=float)

    def loss(theta: float | NDArray[np.float64]) -> NDArray[np.float64]:
        share = np.clip(np.sin(np.multiply.outer(theta, factors)) ** 2, _ROUNDING, 1 - _ROUNDING)
        return np.asarray(-(np.log(share) @ hit + np.log1p(-share) @ missed))

    def loss_at(theta: float) -> float:
        return float(loss(theta))

    angles = np.linspace(0, _LARGEST, _GRID)
    theta = min((_lowest(loss_at, float(start)) for start in angles[_valleys(loss(angles))]), key=loss_at)
    width = 0.5 / math.sqrt(shots * float(factors @ factors))
    low, high = (_end(loss_at, theta, side, width) for side in (-1, 1))
    share = np.sin(factors * theta) ** 2
    spread = np.maximum(shots * share * (1 - share), 1 / shots)
    misfit = float(((hit - shots * share) ** 2 / spread).sum())
    return Fit(theta, low, high, float(gammaincc(max(1, len(powers) - 1) / 2, misfit / 2)))


def _valleys(losses: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the deepest valleys."""
    walls = np.concatenate(([np.inf], losses, [np.inf]))
    places = np.flatnonzero((losses <= walls[:-2]) & (losses <= walls[2:]))
    return places[np.argsort(losses[places], kind="stable")[:_PEAKS]]


def _lowest(loss: Callable[[float], float], start: float) -> float:
    """Return the lowest point within a step of the grid."""
    step = _LARGEST / (_GRID - 1)
    bounds = (max(0.0, start - step), min(_LARGEST, start + step))
    return float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)


def _end(loss: Callable[[float], float], theta: float, side: int, width: float) -> float:
    """Return where the loss has risen to the interval's end, on one side, or the end of all angles."""
    level = loss(theta) + _DROP
    reach = theta
    while loss(reach) < level:
        if reach in (0.0, _LARGEST) and reach != theta:
            return reach
        reach = min(_LARGEST, max(0.0, reach + side * width))
        if reach == theta:
            return reach
    return float(brentq(lambda angle: loss(angle) - level, theta, reach))
