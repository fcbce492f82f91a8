"""A Clifford circuit that turns commuting Pauli operators into products of Z.

Van den Berg and Temme, Quantum 4, 322 (2020). Only as many generators as the X parts have rank are treated, for the
others are products of Z and stay so; that rank is small among the terms of a molecule, and so are the circuits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit.quantum_info import PauliList

    Bits = NDArray[np.bool_]


def basis_change(paulis: PauliList) -> QuantumCircuit:
    """Return the circuit, of gates CX, CZ, S and H, for operators that all commute with one another."""
    x, z, pivots = _generators(paulis)
    change = QuantumCircuit(paulis.num_qubits)
    for row, pivot in enumerate(pivots):  # X on the pivot and others becomes X on the pivot alone
        for other in np.flatnonzero(x[row]).tolist():
            if other != pivot:
                change.cx(pivot, other)
                x[:, other] ^= x[:, pivot]
                z[:, pivot] ^= z[:, other]
    for row, pivot in enumerate(pivots):  # and the Z beside it goes
        if z[row, pivot]:
            change.s(pivot)
            z[:, pivot] ^= x[:, pivot]
        for other in np.flatnonzero(z[row]).tolist():
            change.cz(pivot, other)
            z[:, other] ^= x[:, pivot]
            z[:, pivot] ^= x[:, other]
    if pivots:
        change.h(pivots)
    return change


def _generators(paulis: PauliList) -> tuple[Bits, Bits, list[int]]:
    """Return the X and Z parts of products of the operators, each with an X on a pivot where no other has one."""
    x, z = paulis.x.copy(), paulis.z.copy()
    pivots: list[int] = []
    for column in range(paulis.num_qubits):
        row = len(pivots)
        holders = np.flatnonzero(x[row:, column])
        if not len(holders):
            continue
        first = row + int(holders[0])
        for part in (x, z):
            part[[row, first]] = part[[first, row]]
        for other in np.flatnonzero(x[:, column]).tolist():
            if other != row:
                x[other] ^= x[row]
                z[other] ^= z[row]
        pivots.append(column)
    return x[: len(pivots)], z[: len(pivots)], pivots
