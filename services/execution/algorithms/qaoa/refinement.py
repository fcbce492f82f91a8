"""Angles refined on exact expectations, with gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Expectation = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

OPTIMIZER = "L-BFGS-B"
_DECIMALS = 5
"""Of the angles: the same job makes the same circuit on every processor, whose last bits differ."""
_BETTER = 1e-9
"""Relative: an expectation that is larger by less is the same one."""


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search: gammas then betas, the exact expectation there and at the start, evaluations spent."""

    angles: NDArray[np.float64]
    expectation: float
    start_expectation: float
    evaluations: int

    @property
    def gammas(self) -> list[float]:
        """Return the angles of the cost layers, in radians over the cost's unit."""
        return [float(angle) for angle in np.split(self.angles, 2)[0]]

    @property
    def betas(self) -> list[float]:
        """Return the angles of the mixing layers in radians."""
        return [float(angle) for angle in np.split(self.angles, 2)[1]]


def search(
    expectation: Expectation, start: NDArray[np.float64], evaluations: int, report: Callable[[int], None]
) -> Found:
    """Climb from `start` until it is flat or the evaluations are spent; the best point that was seen counts."""
    first, _ = expectation(start)
    best, place, spent = first, start, 1

    def downhill(angles: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal best, place, spent
        if spent >= evaluations:
            raise StopIteration
        value, slope = expectation(angles)
        spent += 1
        report(spent)
        if value > best + _BETTER * unit:
            best, place = value, angles.copy()
        return -value / unit, -slope / unit

    unit = max(abs(first), 1e-12)
    with contextlib.suppress(StopIteration):
        minimize(downhill, start, jac=True, method=OPTIMIZER, options={"gtol": 1e-6, "ftol": 1e-12})
    return Found(np.round(place, _DECIMALS) + 0.0, best, first, spent)
