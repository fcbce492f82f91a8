"""The Hamiltonian cut into groups that one measurement setting each can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit.quantum_info import SparsePauliOp

_LEAST_SHOTS = 2
"""Per group: with fewer there is no variance."""


@dataclass(slots=True)
class Group:
    """Pauli terms that commute qubit by qubit.

    Bit q of `x` and `z` gives the Pauli to measure on qubit q (X: 10, Y: 11, Z: 01, 00: any). `supports[k]` has the
    bits of term k, whose value in an outcome is its coefficient times the parity of the outcome there.
    """

    x: int = 0
    z: int = 0
    supports: list[int] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)

    def admits(self, x: int, z: int) -> bool:
        """Tell whether a term has the group's Pauli wherever both have one."""
        return ((x ^ self.x) | (z ^ self.z)) & (x | z) & (self.x | self.z) == 0

    def add(self, x: int, z: int, coefficient: float) -> None:
        """Put a term into the group."""
        self.x |= x
        self.z |= z
        self.supports.append(x | z)
        self.coefficients.append(coefficient)

    def values(self, outcomes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the group's terms add up to in each outcome, in the unit of the coefficients."""
        supports = np.array(self.supports, dtype=np.int64)
        parities = np.bitwise_count(outcomes[:, None] & supports[None, :]) & 1
        return np.asarray((1.0 - 2.0 * parities) @ np.array(self.coefficients))


@dataclass(frozen=True, slots=True)
class Observable:
    """A constant and the groups that add up to an observable."""

    constant: float
    groups: tuple[Group, ...]

    def shares(self, shots: int) -> list[int]:
        """Divide the shots among the groups in proportion to the norm of their coefficients, at least 2 to each.

        Raises ValueError where the shots are fewer than that.
        """
        if shots < _LEAST_SHOTS * len(self.groups):
            raise ValueError(f"{shots} shots are too few for {len(self.groups)} groups")
        norms = np.array([np.linalg.norm(group.coefficients) for group in self.groups])
        free = shots - _LEAST_SHOTS * len(norms)
        exact = norms / norms.sum() * free
        given = np.floor(exact).astype(int)
        for index in np.argsort(given - exact, kind="stable")[: free - int(given.sum())]:
            given[index] += 1
        return [int(share) + _LEAST_SHOTS for share in given]


def observable_of(operator: SparsePauliOp) -> Observable:
    """Group the terms of a real operator by sorted insertion, largest coefficient first.

    Crawford et al., Quantum 5, 385 (2021): of the simple groupings this needs the fewest shots.
    """
    constant = 0.0
    groups: list[Group] = []
    coefficients = operator.coeffs.real
    packed_x, packed_z = _packed(operator.paulis.x), _packed(operator.paulis.z)
    for index in np.argsort(-np.abs(coefficients), kind="stable"):
        x, z, coefficient = packed_x[index], packed_z[index], float(coefficients[index])
        if x | z == 0:
            constant += coefficient
            continue
        home = next((group for group in groups if group.admits(x, z)), None)
        if home is None:
            home = Group()
            groups.append(home)
        home.add(x, z, coefficient)
    return Observable(constant, tuple(groups))


def _packed(bits: NDArray[np.bool_]) -> list[int]:
    weights: Sequence[int] = [1 << place for place in range(bits.shape[1])]
    return [int(row) for row in bits.astype(np.int64) @ np.array(weights, dtype=np.int64)]
