"""A unitary with the state that it is applied to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit.library import StatePreparation
from scipy.linalg import schur

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.qpe.estimation import amplitudes, phase_estimation
from services.execution.algorithms.qpe.unitary import Unitary, unitary_from

_SAME = 1e-9
"""Phases closer than this are one."""
_HEAVY = 0.1
_PATH = "parameters.state"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is estimated.

    `phases`, 0 to 1 and ascending, are those of the eigenvalues exp(2 pi i phase) of the unitary that is asked for (of
    an evolution exp(i H t): in the order of the energies), `weights` the shares of its eigenstates in `state`.
    """

    unitary: Unitary
    counting: int
    state: NDArray[np.complex128]
    phases: NDArray[np.float64]
    weights: NDArray[np.float64]

    def nearest(self, phase: float) -> float:
        """Return the eigenphase nearest to a phase among those with at least a tenth of the state.

        Each of them is a right answer; where no eigenstate has so much, the heaviest counts.
        """
        heavy = self.phases[self.weights >= min(_HEAVY, self.weights.max())]
        return float(heavy[int(np.argmin(np.abs(signed(heavy - phase))))])

    @property
    def error_bound(self) -> float:
        """Return how far the most likely outcome may be from the phase of an eigenstate, in turns.

        One step of the grid, and what Trotter's formula may turn the eigenvalue.
        """
        turn = 2 * math.asin(min(1.0, self.unitary.trotter_error / 2)) / (2 * math.pi)
        return 1 / (1 << self.counting) + turn

    def distribution(self) -> NDArray[np.float64]:
        """Return the probability of each outcome of the counting qubits on a device without noise."""
        values, vectors = _spectrum(self.unitary.applied)
        weights = np.abs(vectors.conj().T @ self.state) ** 2
        found = np.zeros(1 << self.counting)
        for weight, phase in zip(weights, values, strict=True):
            found += weight * np.abs(amplitudes(float(phase), self.counting)) ** 2
        return found

    def circuit(self) -> QuantumCircuit:
        """Return the circuit, its counting qubits measured."""
        qubits = self.unitary.qubits
        circuit = QuantumCircuit(self.counting + qubits, self.counting)
        targets = range(self.counting, self.counting + qubits)
        marked = np.flatnonzero(np.abs(self.state) > _SAME)
        if len(marked) == 1:
            for bit, target in enumerate(targets):
                if marked[0] >> bit & 1:
                    circuit.x(target)
        else:
            circuit.compose(StatePreparation(self.state).definition, targets, inplace=True)
        circuit.compose(phase_estimation(self.unitary.powers, qubits), inplace=True)
        circuit.measure(range(self.counting), range(self.counting))
        return circuit


def problem_from(parameters: Mapping[str, Any]) -> Problem:
    """Return the problem. Raises ParameterError."""
    unitary = unitary_from(parameters)
    phases, vectors = _spectrum(unitary.matrix)
    if unitary.time is not None:  # energies are in order where phases have turned past 0
        order = np.argsort(signed(phases), kind="stable")
        phases, vectors = phases[order], vectors[:, order]
    state = _state(parameters.get("state", {}), unitary, vectors)
    weights = np.abs(vectors.conj().T @ state) ** 2
    return Problem(unitary, int(parameters["counting_qubits"]), state, phases, weights)


def signed(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return turns of a circle as -1/2 up to, not including, 1/2."""
    return (turns + 0.5) % 1 - 0.5


def _state(asked: Mapping[str, Any], unitary: Unitary, vectors: NDArray[np.complex128]) -> NDArray[np.complex128]:
    size = len(unitary.matrix)
    if "bits" in asked:
        bits = str(asked["bits"])
        if len(bits) != unitary.qubits:
            raise ParameterError(f"{_PATH}.bits", f"must have {unitary.qubits} bits")
        return np.asarray(np.eye(size, dtype=np.complex128)[int(bits, 2)])
    # A phase gate turns |1>, the last of its eigenstates.
    index = int(asked.get("eigenstate", size - 1 if unitary.kind == "phase" else 0))
    if index >= size:
        raise ParameterError(f"{_PATH}.eigenstate", f"must be less than {size}")
    return np.asarray(vectors[:, index])


def _spectrum(matrix: NDArray[np.complex128]) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the phases of a unitary's eigenvalues, ascending from 0 to 1, and orthonormal eigenstates as columns."""
    # Schur's triangle of a normal matrix is diagonal, and its basis orthonormal where eigenvalues repeat too.
    triangle, vectors = schur(matrix, output="complex")
    phases = np.angle(np.diag(triangle)) / (2 * np.pi) % 1
    phases[phases > 1 - _SAME] = 0.0
    order = np.argsort(phases, kind="stable")
    return phases[order], vectors[:, order]
