"""The circuit of Harrow, Hassidim and Lloyd (arXiv:0811.3171), and its readout in the bases of tomography."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import StatePreparation, UCRYGate

from services.execution.algorithms.qpe.estimation import controlled, phase_estimation
from services.execution.programs.flatten import flatten
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from services.execution.algorithms.hhl.system import System

_LIMITS = Limits()


def settings_of(qubits: int) -> list[str]:
    """Return the bases that tomography measures the qubits in, qubit 0 rightmost."""
    return ["".join(letters) for letters in itertools.product("XYZ", repeat=qubits)]


def readout_circuits(system: System) -> list[QuantumCircuit]:
    """Return the circuit for each setting of tomography, all qubits measured: from bit 0 x, the clock, success."""
    solving = _solving(system)
    circuits = []
    for setting in settings_of(system.qubits):
        circuit = solving.copy()
        for qubit, letter in enumerate(reversed(setting)):
            if letter == "Y":
                circuit.sdg(qubit)
            if letter in "XY":
                circuit.h(qubit)
        circuit.measure_all()
        circuits.append(circuit)
    return circuits


def _solving(system: System) -> QuantumCircuit:
    """Load b, read the eigenvalues into the clock, turn the qubit of success by their inverses, take the clock back.

    Powers of U are synthesised from their matrices, which classical diagonalisation gives.
    """
    clock, qubits = system.clock, system.qubits
    places, success = range(qubits, qubits + clock), qubits + clock
    powers = [controlled(np.linalg.matrix_power(system.turn, 1 << k)) for k in range(clock)]
    estimation = flatten(phase_estimation(powers, qubits), operations=_LIMITS.operations, nesting=_LIMITS.nesting)
    wires = [*places, *range(qubits)]
    circuit = QuantumCircuit(success + 1)
    circuit.compose(
        StatePreparation(system.right / np.linalg.norm(system.right)).definition, range(qubits), inplace=True
    )
    circuit.compose(estimation, wires, inplace=True)
    circuit.append(UCRYGate((2 * np.arcsin(system.inverses())).tolist()), [success, *places])
    circuit.compose(estimation.inverse(), wires, inplace=True)
    return circuit
