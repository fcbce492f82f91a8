"""The ansatz as a circuit: the same product of exponentials that `ansatz` applies to determinants."""

from __future__ import annotations

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

    exp(tG) = exp(i t K) is one Pauli rotation by -2 t k for each term k P of K. Rustiq (Goubault de Brugiere and
    Martiel, arXiv:2404.03280) shares Clifford gates between rotations and reorders only those that commute.
    """
    qubits = 2 * sector.orbitals
    circuit = QuantumCircuit(qubits)
    occupied = int(sector.determinants[sector.hartree_fock])
    for qubit in range(qubits):
        if occupied >> qubit & 1:
            circuit.x(qubit)
    rotations = [
        (pauli, places, -2 * angle * float(coefficient.real))
        for excitation, angle in zip(excitations, angles, strict=True)
        for pauli, places, coefficient in generator(excitation, qubits).to_sparse_list()
    ]
    circuit.compose(synth_pauli_network_rustiq(qubits, rotations, preserve_order=True), inplace=True)
    limits = Limits()
    return flatten(circuit, operations=limits.operations, nesting=limits.nesting)
