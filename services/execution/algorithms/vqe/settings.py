"""Measurement settings: the terms of a Pauli observable in groups of commuting ones that a circuit each can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import PauliList, SparsePauliOp

from services.execution.algorithms.vqe.diagonalisation import basis_change

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Setting:
    """Terms that are read together, after `change` turned each into a product of Z.

    `qubits` are measured, ascending, `qubits[k]` into bit k of an outcome; the bits of `supports[t]` are those whose
    parity, times `signs[t]`, is the value of term t. `terms[t]` is the term's place in the observable.
    """

    change: QuantumCircuit
    qubits: tuple[int, ...]
    supports: NDArray[np.int64]
    signs: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    terms: tuple[int, ...]

    def readings(self, outcomes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the value, 1 or -1, of each term (column) in each outcome (row)."""
        odd = np.bitwise_count(outcomes[:, None] & self.supports[None, :]) & 1
        return np.asarray((1.0 - 2.0 * odd) * self.signs)

    def values(self, outcomes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the terms, each times its coefficient, add up to in each outcome."""
        return np.asarray(self.readings(outcomes) @ self.coefficients)

    def measured(self, circuit: QuantumCircuit) -> QuantumCircuit:
        """Return a circuit with the setting's measurement at its end."""
        read = QuantumCircuit(circuit.num_qubits, len(self.qubits))
        read.compose(circuit, inplace=True)
        read.compose(self.change, inplace=True)
        read.measure(self.qubits, range(len(self.qubits)))
        return read


def constant_of(operator: SparsePauliOp) -> float:
    """Return the coefficient of the identity, which needs no measurement."""
    trivial = ~(operator.paulis.x | operator.paulis.z).any(axis=1)
    return float(operator.coeffs.real[trivial].sum())


def groups_of(operator: SparsePauliOp) -> list[list[int]]:
    """Group the terms that commute by sorted insertion, identity left out; a group holds their places.

    Crawford et al., Quantum 5, 385 (2021): of the simple groupings this needs the fewest shots.
    """
    clashes = clashes_of(operator.paulis)
    groups: list[list[int]] = []
    for term in ranked(operator):
        home = next((group for group in groups if not clashes[term, group].any()), None)
        if home is None:
            home = []
            groups.append(home)
        home.append(term)
    return groups


def ranked(operator: SparsePauliOp) -> list[int]:
    """Return the places of the terms, largest coefficient first, identity left out.

    Coefficients that are equal but for rounding keep their order: rounding is not the same on every machine.
    """
    sizes = np.abs(operator.coeffs.real)
    order = np.argsort(-np.round(sizes / max(sizes.max(), 1e-300), 9), kind="stable")
    measured = (operator.paulis.x | operator.paulis.z).any(axis=1)
    return [int(term) for term in order if measured[term]]


def clashes_of(paulis: PauliList) -> NDArray[np.bool_]:
    """Return which pairs of terms do not commute."""
    x, z = paulis.x.astype(np.int64), paulis.z.astype(np.int64)
    return np.asarray((x @ z.T + z @ x.T) % 2 == 1)


def setting_of(operator: SparsePauliOp, group: list[int]) -> Setting:
    """Return the setting that reads some terms of an operator, which must commute."""
    paulis = operator.paulis[group]
    change = basis_change(paulis)
    turned = paulis.evolve(change, frame="s")
    if turned.x.any():
        raise ValueError("the terms do not commute")
    qubits = tuple(int(qubit) for qubit in np.flatnonzero(turned.z.any(axis=0)))
    weights = 1 << np.arange(len(qubits), dtype=np.int64)
    return Setting(
        change,
        qubits,
        turned.z[:, qubits].astype(np.int64) @ weights,
        1.0 - turned.phase,  # a phase of 2 is the factor -1
        operator.coeffs.real[group],
        tuple(group),
    )
