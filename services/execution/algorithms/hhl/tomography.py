"""The state of one or two qubits from measurements in the bases X, Y and Z of each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import Pauli


def density_from(counts: Mapping[str, Mapping[int, int]], qubits: int) -> NDArray[np.complex128]:
    """Return the density matrix by linear inversion, from the counts of each setting (see `settings_of`).

    The mean of every Pauli operator is taken over all shots of the settings that measure it. Shots can make
    eigenvalues negative: they stay, for whoever wants the nearest state takes the largest one's eigenvector.
    """
    density = np.zeros((1 << qubits, 1 << qubits), dtype=np.complex128)
    for letters in itertools.product("IXYZ", repeat=qubits):
        name = "".join(letters)
        density += _mean(counts, name) * Pauli(name).to_matrix() / (1 << qubits)
    return density


def _mean(counts: Mapping[str, Mapping[int, int]], name: str) -> float:
    support = sum(1 << qubit for qubit, letter in enumerate(reversed(name)) if letter != "I")
    total, shots = 0, 0
    for setting, found in counts.items():
        if all(letter in ("I", basis) for letter, basis in zip(name, setting, strict=True)):
            shots += sum(found.values())
            total += sum((-1) ** (value & support).bit_count() * count for value, count in found.items())
    return total / shots if shots else 0.0


def leading(density: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], float]:
    """Return the eigenvector of the largest eigenvalue, and that eigenvalue: 1 for a pure state, up to its shots."""
    values, vectors = np.linalg.eigh(density)
    return vectors[:, -1], float(values[-1])
