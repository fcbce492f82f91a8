"""The linear system, scaled so that phase estimation can read its eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.qpe.estimation import amplitudes

_HERMITIAN = 1e-9
"""Of a matrix that claims to be Hermitian, relative to its largest element."""
_ROUNDING = 1e-9
_HEADROOM = 2
"""Steps of the clock that the smallest eigenvalue must be away from 0."""


@dataclass(frozen=True, slots=True)
class System:
    """A x = b for a Hermitian A of 2 by 2 or 4 by 4, with `clock` qubits for the eigenvalues of A.

    The largest eigenvalue by size stands `reach` steps from 0 on the clock's circle of 2^clock steps: half way round
    where all eigenvalues are positive, a quarter where negative ones go the other way round.
    """

    matrix: NDArray[np.complex128]
    right: NDArray[np.complex128]
    clock: int
    values: NDArray[np.float64]
    vectors: NDArray[np.complex128]

    @property
    def qubits(self) -> int:
        """Return the qubits of x."""
        return len(self.right).bit_length() - 1

    @property
    def definite(self) -> bool:
        """Return whether all eigenvalues are positive."""
        return bool(self.values.min() > 0)

    @property
    def condition(self) -> float:
        """Return the condition number."""
        sizes = np.abs(self.values)
        return float(sizes.max() / sizes.min())

    @property
    def reach(self) -> int:
        """Return the steps between 0 and the largest eigenvalue by size."""
        return 1 << self.clock - (1 if self.definite else 2)

    @property
    def step(self) -> float:
        """Return what one step of the clock is as an eigenvalue."""
        return float(np.abs(self.values).max()) / self.reach

    @property
    def turn(self) -> NDArray[np.complex128]:
        """Return U = exp(2 pi i A / (step 2^clock)), whose phases are the eigenvalues in turns of the clock."""
        phases = np.exp(2j * np.pi * self.values / self.step / (1 << self.clock))
        return np.asarray((self.vectors * phases) @ self.vectors.conj().T)

    @property
    def solution(self) -> NDArray[np.complex128]:
        """Return the exact solution."""
        return np.asarray(np.linalg.solve(self.matrix, self.right))

    def inverses(self) -> NDArray[np.float64]:
        """Return for each reading of the clock the amplitude of success, proportional to the eigenvalue's inverse.

        It is 1 at the step below the smallest eigenvalue, and stays so nearer to 0, where no eigenvalue is; 0 at 0.
        """
        size = 1 << self.clock
        steps = np.arange(size)
        if not self.definite:
            steps = np.where(steps < size // 2, steps, steps - size)
        smallest = self.smallest
        return np.where(steps == 0, 0.0, np.clip(smallest / np.where(steps == 0, 1, steps), -1, 1))

    @property
    def smallest(self) -> int:
        """Return the steps of the smallest eigenvalue by size, rounded down."""
        return math.floor(self.reach / self.condition + _ROUNDING)

    def prepared(self) -> NDArray[np.complex128]:
        """Return the state of x, not normalised, that the circuit leaves where it succeeds, on a device without noise.

        The squared norm is the probability of success. An eigenvector with amplitude beta gets beta times the mean of
        the inverses over what the clock reads for it: the clock is taken back to 0, and measured there.
        """
        inverses = self.inverses()
        phases = self.values / self.step / (1 << self.clock)
        means = [float(np.abs(amplitudes(float(phase), self.clock)) ** 2 @ inverses) for phase in phases]
        start = self.vectors.conj().T @ (self.right / np.linalg.norm(self.right))
        return np.asarray(self.vectors @ (np.array(means) * start))


def system_from(parameters: Mapping[str, Any]) -> System:
    """Return the system. Raises ParameterError."""
    matrix, right, clock = (
        _matrix(parameters["matrix"]),
        _numbers(parameters["vector"]),
        int(parameters["clock_qubits"]),
    )
    if len(right) != len(matrix):
        raise ParameterError("parameters.vector", f"must have {len(matrix)} elements")
    if not np.abs(right).max() > 0:
        raise ParameterError("parameters.vector", "must not be 0")
    values, vectors = np.linalg.eigh(matrix)
    if np.abs(values).min() <= _ROUNDING * np.abs(values).max():
        raise ParameterError("parameters.matrix", "is singular")
    system = System(matrix, right, clock, values, vectors)
    most = system.reach / _HEADROOM
    if system.condition > most * (1 + _ROUNDING):
        message = f"has condition number {system.condition:.4g}; {clock} clock qubits can tell up to {most:g} apart"
        raise ParameterError("parameters.matrix", message)
    return system


def _matrix(rows: Sequence[Sequence[Any]]) -> NDArray[np.complex128]:
    if len(rows) not in (2, 4) or any(len(row) != len(rows) for row in rows):
        raise ParameterError("parameters.matrix", "must be 2 by 2 or 4 by 4")
    matrix = np.array([_numbers(row) for row in rows])
    if np.abs(matrix - matrix.conj().T).max() > _HERMITIAN * np.abs(matrix).max():
        raise ParameterError(
            "parameters.matrix", "is not Hermitian: an element is not the conjugate of its mirror image"
        )
    return np.asarray((matrix + matrix.conj().T) / 2)


def _numbers(written: Sequence[Any]) -> NDArray[np.complex128]:
    """Read numbers, complex ones as pairs of real and imaginary part."""
    return np.array([complex(*one) if isinstance(one, list) else complex(one) for one in written])
