"""The ideal distribution of a circuit, by state vector. Heavy: for child processes alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qiskit.circuit.library import get_standard_gate_name_mapping
from qulacs import QuantumCircuit, QuantumState
from qulacs.gate import DenseMatrix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from services.routing.prediction.circuit import Structure

WIDEST = 20
"""Qubits of the widest circuit whose distribution is computed: 8 MB, and some 0.1 s."""
_SKIPPED = frozenset({"measure", "id"})
_GATES = get_standard_gate_name_mapping()
_ADD: Mapping[str, Callable[..., None]] = {
    "x": QuantumCircuit.add_X_gate,
    "z": QuantumCircuit.add_Z_gate,
    "h": QuantumCircuit.add_H_gate,
    "s": QuantumCircuit.add_S_gate,
    "sdg": QuantumCircuit.add_Sdag_gate,
    "sx": QuantumCircuit.add_sqrtX_gate,
    "t": QuantumCircuit.add_T_gate,
    "tdg": QuantumCircuit.add_Tdag_gate,
    "rx": QuantumCircuit.add_RotX_gate,
    "ry": QuantumCircuit.add_RotY_gate,
    "rz": QuantumCircuit.add_RotZ_gate,
    "p": QuantumCircuit.add_RotZ_gate,
    "cx": QuantumCircuit.add_CNOT_gate,
    "cz": QuantumCircuit.add_CZ_gate,
    "swap": QuantumCircuit.add_SWAP_gate,
}
"""What qulacs runs faster than a matrix; p differs from rz by a global phase. Every other gate goes by its matrix."""


def distribution(structure: Structure, angles: tuple[float, ...]) -> NDArray[np.float32]:
    """The probabilities of what is read from a circuit that reads at its end; the first measured qubit is lowest."""
    state = QuantumState(structure.qubit_count)
    _circuit(structure, angles).update_quantum_state(state)
    amplitudes = state.get_vector()
    found = amplitudes.real**2 + amplitudes.imag**2
    width, measured = structure.qubit_count, set(structure.measured)
    dropped = tuple(width - 1 - qubit for qubit in range(width) if qubit not in measured)
    if dropped:
        found = found.reshape((2,) * width).sum(axis=dropped).ravel()
    return np.asarray(found / found.sum(), dtype=np.float32)


def _circuit(structure: Structure, angles: tuple[float, ...]) -> QuantumCircuit:
    circuit = QuantumCircuit(structure.qubit_count)
    taken = 0
    for name, qubits, _, count in structure.steps:
        turned = angles[taken : taken + count]
        taken += count
        if name in _SKIPPED:
            continue
        if name in _ADD:
            _ADD[name](circuit, *qubits, *turned)
        else:
            gate = _GATES[name]
            circuit.add_gate(DenseMatrix(list(qubits), (type(gate)(*turned) if turned else gate).to_matrix()))
    return circuit


def support(probabilities: NDArray[np.float32]) -> float:
    """How many outcomes a distribution effectively has: exp of its entropy."""
    possible = probabilities[probabilities > 0].astype(np.float64)
    return math.exp(-float(possible @ np.log(possible)))
