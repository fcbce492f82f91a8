"""From the counts of the settings to the solution, its norm and its phase, with their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.algorithms.hhl.system import System
from services.execution.algorithms.hhl.tomography import density_from, leading

_RESAMPLES = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """The shots that succeeded, as the counts of x's qubits in each setting, and what they tell.

    `success` is the share of all `shots`; `purity` the largest eigenvalue of the density matrix, 1 up to the shots on a
    device without noise.
    """

    system: System
    kept: Mapping[str, Mapping[int, int]]
    shots: int
    success: float
    solution: NDArray[np.complex128]
    purity: float

    @classmethod
    def of(cls, system: System, kept: Mapping[str, Mapping[int, int]], shots: int) -> Reading:
        """Read the solution out of the shots that succeeded, of `shots` in all.

        Tomography gives the direction; the norm follows from the share of success, which is that of the exact state
        where the clock reads the eigenvalues exactly; the phase is the one with which A x is nearest to b.
        Raises AlgorithmError where no shot succeeded.
        """
        count = sum(sum(found.values()) for found in kept.values())
        if not count:
            raise AlgorithmError("no shot succeeded, so that there is no solution to read: take more shots")
        direction, purity = leading(density_from(kept, system.qubits))
        phase = np.exp(1j * np.angle(np.vdot(system.matrix @ direction, system.right)))
        norm = math.sqrt(count / shots) * float(np.linalg.norm(system.right)) / (system.smallest * system.step)
        return cls(system, kept, shots, count / shots, norm * phase * direction, purity)

    @property
    def fidelity(self) -> float:
        """Return |<x, exact x>|^2 of the normalised vectors."""
        return overlap(self.solution, self.system.solution)

    @property
    def residual(self) -> float:
        """Return |A x - b| / |b|."""
        system = self.system
        return float(np.linalg.norm(system.matrix @ self.solution - system.right) / np.linalg.norm(system.right))

    def errors(self, random: np.random.Generator) -> tuple[NDArray[np.float64], float]:
        """Return one standard deviation of each element of x and of the fidelity, from shots drawn anew (bootstrap)."""
        again = [self._again(random) for _ in range(_RESAMPLES)]
        solutions = np.array([reading.solution for reading in again])
        spread = np.sqrt(np.mean(np.abs(solutions - solutions.mean(axis=0)) ** 2, axis=0))
        return spread, float(np.std([reading.fidelity for reading in again]))

    def _again(self, random: np.random.Generator) -> Reading:
        """Draw every setting's shots, failures too, with the shares that were found."""
        each = self.shots // len(self.kept)
        kept = {}
        for setting, found in self.kept.items():
            drawn = random.multinomial(each, [count / each for count in found.values()] + [0.0])
            kept[setting] = dict(zip(found, drawn[:-1].tolist(), strict=True))
        return Reading.of(self.system, kept, self.shots)


def overlap(one: NDArray[np.complex128], other: NDArray[np.complex128]) -> float:
    """Return the fidelity of two vectors once normalised."""
    product = abs(np.vdot(one, other)) / (np.linalg.norm(one) * np.linalg.norm(other))
    return min(1.0, float(product) ** 2)
