"""Counts as numbers: which outcomes occurred, how often, and what a quantity was worth over them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tally:
    """Distinct outcomes as integers, qubit 0 the lowest bit, ascending, and the shots of each."""

    outcomes: NDArray[np.int64]
    shots: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Tally:
        """Read the counts of a circuit with one register in the order of its qubits."""
        found = sorted((int(key, 2), number) for key, number in counts.items())
        return cls(np.array([key for key, _ in found], np.int64), np.array([number for _, number in found], np.int64))

    @property
    def total(self) -> int:
        """Return the number of shots."""
        return int(self.shots.sum())

    def mean(self, values: NDArray[np.float64]) -> tuple[float, float]:
        """Return the mean of a quantity and its standard error, from its value in each outcome.

        The error of a single shot is unknown, and given as 0.
        """
        total = self.total
        mean = float(values @ self.shots) / total
        spread = float((values - mean) ** 2 @ self.shots) / max(total - 1, 1)
        return mean, math.sqrt(spread / total)
