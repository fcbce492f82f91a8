"""From error rates to quantum channels, as Pauli transfer matrices.

The model is that of `NoiseModel.from_backend` of qiskit-aer, term by term: after each gate its qubits relax for as long
as it takes (T1, T2, to the ground state), and a depolarising channel before that makes up what the reported error has
beyond the relaxation.

A Pauli transfer matrix R of k qubits is real, 4^k by 4^k: R[i, j] = tr(P_i channel(P_j)) / 2^k over the Pauli strings
in the order I, X, Y, Z, the first qubit's letter changing fastest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from noise.machine import Qubit

Channel: TypeAlias = NDArray[np.float64]

_PAULI = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
_PAULIS = {
    2: _PAULI,
    4: np.einsum("iab,jcd->ijacbd", _PAULI, _PAULI).reshape(16, 4, 4),
}
"""The Pauli strings by the dimension, the lowest qubit's letter fastest."""
_FLAT = {dimension: paulis.reshape(len(paulis), -1) for dimension, paulis in _PAULIS.items()}


def unitary(matrix: NDArray[np.complex128]) -> Channel:
    """The channel of a unitary on one or two qubits, in Qiskit's order."""
    dimension = len(matrix)
    turned = matrix @ _PAULIS[dimension] @ matrix.conj().T
    # tr(P_i A) is the sum over the entries of conj(P_i) A, since P_i is Hermitian.
    overlaps = _FLAT[dimension].conj() @ turned.reshape(dimension**2, -1).T
    return cast("Channel", overlaps.real / dimension)


def relaxation(qubit: Qubit, seconds: float) -> Channel:
    """The channel of a qubit that waits: populations decay with T1, coherences with T2, which is at most 2 T1."""
    t1 = qubit.t1_us * 1e-6 if qubit.t1_us else math.inf
    t2 = min(qubit.t2_us * 1e-6 if qubit.t2_us else math.inf, 2 * t1)
    kept, coherent = math.exp(-seconds / t1), math.exp(-seconds / t2)
    channel = np.diag([1.0, coherent, coherent, kept])
    channel[3, 0] = 1 - kept
    return channel


def gate_noise(qubits: tuple[Qubit, ...], error: float | None, seconds: float | None) -> Channel | None:
    """The channel that follows an ideal gate on `qubits`, the first one lowest; None where there is no error.

    The depolarising part has the probability d (F_r - F) / (d F_r - 1), so that both together have the reported average
    gate fidelity F = 1 - error; F_r is that of the relaxation alone, d the dimension. An error below the relaxation's
    adds nothing; one beyond what a channel can have, d / (d + 1), is cut there.
    """
    dimension = 2 ** len(qubits)
    relaxed = joined([relaxation(qubit, seconds) for qubit in qubits]) if seconds else None
    process = 1.0 if relaxed is None else float(np.trace(relaxed)) / dimension**2
    relaxed_fidelity = (dimension * process + 1) / (dimension + 1)
    lost = min(error or 0.0, dimension / (dimension + 1))
    if lost <= 1 - relaxed_fidelity:
        return relaxed
    share = dimension * (relaxed_fidelity - (1 - lost)) / (dimension * relaxed_fidelity - 1)
    share = min(share, dimension**2 / (dimension**2 - 1))
    depolarising = np.diag([1.0] + [1 - share] * (dimension**2 - 1))
    return depolarising if relaxed is None else cast("Channel", relaxed @ depolarising)


def joined(channels: list[Channel]) -> Channel:
    """The channel of one or two qubits that each have their own, the lower one's first."""
    if len(channels) == 1:
        return channels[0]
    low, high = channels
    return cast("Channel", (high[:, None, :, None] * low[None, :, None, :]).reshape(16, 16))


def swapped(channel: Channel) -> Channel:
    """The channel of two qubits, with the qubits named the other way round."""
    return channel.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
