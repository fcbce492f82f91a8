"""Phase estimation as a circuit, and the distribution that it measures (Cleve et al., arXiv:quant-ph/9708016)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from qiskit.synthesis import synth_qft_full

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def phase_estimation(powers: Sequence[QuantumCircuit], targets: int) -> QuantumCircuit:
    """Return the circuit that writes phases into counting qubits, without measurements.

    `powers[k]` applies U^(2^k) to its qubits 1 to `targets` where its qubit 0 is 1; further qubits are counting ones
    that it borrows and leaves as they were. The circuit's qubits are one counting qubit for each power, the lowest bit
    first, then the targets. An eigenstate of phase x, exp(2 pi i x) being its eigenvalue, leaves the counting qubits
    near x 2^t.
    """
    counting = len(powers)
    circuit = QuantumCircuit(counting + targets)
    circuit.h(range(counting))
    for k, power in enumerate(powers):
        control = counting - 1 - k  # the transform without its swaps takes its bits in the other order
        others = [qubit for qubit in range(counting) if qubit != control]
        qubits = [control, *range(counting, counting + targets), *others[: power.num_qubits - 1 - targets]]
        circuit.compose(power, qubits, inplace=True)
    circuit.compose(synth_qft_full(counting, do_swaps=False, inverse=True), range(counting), inplace=True)
    return circuit


def controlled(matrix: NDArray[np.complex128]) -> QuantumCircuit:
    """Return the circuit of a unitary matrix on qubits from 1 on, controlled by qubit 0, from its numbers."""
    size = len(matrix)
    whole = np.eye(2 * size, dtype=np.complex128)
    whole[1::2, 1::2] = matrix
    qubits = size.bit_length()
    circuit = QuantumCircuit(qubits)
    circuit.append(UnitaryGate(whole), range(qubits))
    return circuit


def amplitudes(phase: float, counting: int) -> NDArray[np.complex128]:
    """Return the amplitude of each outcome of the counting qubits for an eigenstate of phase `phase`.

    A geometric sum: 2^-t sum over y of exp(2 pi i y (phase - m / 2^t)).
    """
    size = 1 << counting
    return np.asarray(np.fft.fft(np.exp(2j * np.pi * phase * np.arange(size))) / size)
