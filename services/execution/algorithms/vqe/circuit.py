"""The ansatz as a circuit: the same product of exponentials that `ansatz` applies to determinants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit
from qiskit.synthesis import synth_pauli_network_rustiq

from services.execution.algorithms.vqe.fermions import generator
from services.execution.programs.flatten import flatten
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.execution.algorithms.vqe.ansatz import Excitation
    from services.execution.algorithms.vqe.sector import Sector


def ansatz_circuit(sector: Sector, excitations: Sequence[Excitation], angles: Sequence[float]) -> QuantumCircuit:
    """Return the circuit that prepares the ansatz state from |0…0>, flat, without measurements.

    exp(tG) = exp(i t K) is one Pauli rotation by -2 t k for each term k P of K; for the first G one term is enough, and
    both ways are tried. Rustiq (Goubault de Brugiere and Martiel, arXiv:2404.03280) shares Clifford gates between
    rotations and reorders only those that commute.
    """
    tried = [_synthesised(sector, excitations, angles, short=short) for short in (True, False)]
    return min(tried, key=lambda circuit: circuit.num_nonlocal_gates())


def _synthesised(
    sector: Sector, excitations: Sequence[Excitation], angles: Sequence[float], *, short: bool
) -> QuantumCircuit:
    qubits = 2 * sector.orbitals
    circuit = QuantumCircuit(qubits)
    occupied = int(sector.determinants[sector.hartree_fock])
    for qubit in range(qubits):
        if occupied >> qubit & 1:
            circuit.x(qubit)
    rotations = [
        (pauli, places, -2 * angle * coefficient)
        for place, (excitation, angle) in enumerate(zip(excitations, angles, strict=True))
        for pauli, places, coefficient in _terms(excitation, qubits, alone=short and place == 0)
    ]
    circuit.compose(synth_pauli_network_rustiq(qubits, rotations, preserve_order=True), inplace=True)
    limits = Limits()
    return flatten(circuit, operations=limits.operations, nesting=limits.nesting)


def _terms(excitation: Excitation, qubits: int, *, alone: bool) -> list[tuple[str, list[int], float]]:
    """Return the terms of K as (letters, qubits, coefficient).

    `alone` says that K acts on a single determinant. There every k P gives the same multiple of the excited one, for
    K gives it with amplitude 1 and the |k| add up to 1: one P with the sign of its k does the whole rotation.
    """
    found = [(pauli, places, float(k.real)) for pauli, places, k in generator(excitation, qubits).to_sparse_list()]
    if alone:
        pauli, places, coefficient = found[0]
        return [(pauli, places, math.copysign(1.0, coefficient))]
    return found
