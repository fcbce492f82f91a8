"""The feature map: a point as angles of a circuit, and the kernel of two of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A qubit for each feature; layers of Hadamard gates and of exp(-i (sum x_i Z_i + sum x_i x_j Z_i Z_j)).

    Havlicek et al., arXiv:1804.11326, in the form of Shaydulin and Wild, arXiv:2111.05451, who scale the points by a
    bandwidth: small ones make all points alike, large ones make every point unlike all others.
    """

    repetitions: int
    bandwidth: float

    def circuit(self, point: NDArray[np.float64]) -> QuantumCircuit:
        """Return the circuit of a point."""
        angles = 2 * self.bandwidth * point
        circuit = QuantumCircuit(len(point))
        for _ in range(self.repetitions):
            circuit.h(range(len(point)))
            for qubit, angle in enumerate(angles):
                circuit.rz(float(angle), qubit)
            for first, second in itertools.combinations(range(len(point)), 2):
                circuit.rzz(float(angles[first] * angles[second] / 2), first, second)
        return circuit

    def overlaps(self, points: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> list[QuantumCircuit]:
        """Return for each pair of points the circuit that gives all zeros with the probability that is their kernel."""
        ahead = [self.circuit(point) for point in points]
        back = [circuit.inverse() for circuit in ahead]
        circuits = []
        for one, other in pairs:
            circuit = ahead[one].compose(back[other])
            circuit.measure_all()
            circuits.append(circuit)
        return circuits

    def states(self, points: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return the state of each point, one a row, computed classically."""
        qubits = points.shape[1]
        signs = 1 - 2 * (np.arange(1 << qubits)[:, None] >> np.arange(qubits) & 1)
        scaled = self.bandwidth * points
        singles = scaled @ signs.T
        # Every pair once: (sum of all)^2 counts each twice, and the squares besides.
        phases = singles + (singles**2 - (scaled**2).sum(axis=1, keepdims=True)) / 2
        states = np.zeros((len(points), 1 << qubits), dtype=np.complex128)
        states[:, 0] = 1
        for _ in range(self.repetitions):
            states = _hadamard(states, qubits) * np.exp(-1j * phases)
        return states

    def exact(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the kernel of every point of one set with every point of another, computed classically."""
        return np.asarray(np.abs(self.states(left).conj() @ self.states(right).T) ** 2)


def _hadamard(states: NDArray[np.complex128], qubits: int) -> NDArray[np.complex128]:
    """Apply a Hadamard gate to every qubit of every row."""
    tensor = states.reshape((len(states),) + (2,) * qubits)
    for axis in range(1, qubits + 1):
        low, high = np.take(tensor, 0, axis), np.take(tensor, 1, axis)
        tensor = np.stack([low + high, low - high], axis) / np.sqrt(2)
    return tensor.reshape(states.shape)


def feature_map_from(parameters: Mapping[str, Any]) -> FeatureMap:
    """Return the feature map."""
    return FeatureMap(int(parameters["repetitions"]), float(parameters["bandwidth"]))
