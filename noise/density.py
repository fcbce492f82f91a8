"""The exact simulation of a noisy circuit by the Pauli vector of its density matrix.

The state of k qubits is 4^k real coefficients, one for each Pauli string; I..I has 1. A qubit joins the state at its
first step and leaves it after its last, so that the state never holds all the qubits of a shallow circuit at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

import numpy as np

from noise.fusion import Channels, Step, fused

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from noise.machine import Machine

_GROUND = np.array([1.0, 0.0, 0.0, 1.0])
"""The coefficients of |0><0|."""
_SHOTS = -1
"""The axis of the shots, among those of the qubits."""
LARGEST_STATE = 2**22
"""Numbers of a state of several shots at a time, and outcomes of a distribution."""

State = tuple["NDArray[np.float64]", list[int]]
"""Coefficients, and which qubit each axis is."""


class Plan:
    """How a circuit is simulated: its steps in the order that keeps the state small, and what that takes.

    `distribution` and `sample` do the same steps. The one keeps two probabilities for each measured qubit that left,
    the other draws them, for each shot, and keeps nothing; what a shot's qubits were read as before changes only what
    is likely for the rest.
    """

    def __init__(self, circuit: QuantumCircuit, measured: tuple[int, ...], device: Machine, channels: Channels) -> None:
        """Plan for a circuit on the machine's qubits that is not dynamic and reads each of `measured` once."""
        self._device = device
        self.measured = measured
        steps = fused(circuit, channels)
        self._last = {qubit: step for step in steps for qubit in step[0]}
        self._steps: list[Step] = []
        self.distribution_size = self.distribution_work = 1 << len(self.measured)
        """The most numbers that the state has, and the numbers that all steps write, for the whole distribution."""
        self.shot_size = self.shot_work = 1
        """The same for a shot."""
        self._order(steps)

    def _order(self, steps: list[Step]) -> None:
        """Put the steps in order, and count what they take."""
        waiting: dict[int, deque[Step]] = {}
        for step in steps:
            for qubit in step[0]:
                waiting.setdefault(qubit, deque()).append(step)
        present, gone = set[int](), 0
        while waiting:
            ready = [queue[0] for queue in waiting.values() if all(waiting[q][0] is queue[0] for q in queue[0][0])]
            best = min(ready, key=lambda step: self._growth(step, present))
            self._steps.append(best)
            present.update(best[0])
            self._count(2 * len(present), gone)
            for qubit in best[0]:
                waiting[qubit].popleft()
                if not waiting[qubit]:
                    del waiting[qubit]
                    present.discard(qubit)
                    gone += qubit in self.measured

    def _growth(self, step: Step, present: set[int]) -> int:
        """The qubits by which the state is larger after a step."""
        return sum((qubit not in present) - (self._last[qubit] is step) for qubit in step[0])

    def _count(self, bits: int, gone: int) -> None:
        self.shot_size = max(self.shot_size, 1 << bits)
        self.shot_work += 1 << bits
        self.distribution_size = max(self.distribution_size, 1 << bits + gone)
        self.distribution_work += 1 << bits + gone

    def distribution(self) -> NDArray[np.float64]:
        """The distribution of what is read, readout errors included; indices as in `readout_of`."""
        state: State = (np.ones(()), [])
        for step in self._steps:
            state = _applied(step, state)
            for qubit in step[0]:
                if self._last[qubit] is step:
                    state = self._read(state, qubit) if qubit in self.measured else _traced(state, qubit)
        for qubit in self.measured:
            if qubit not in self._last:
                state = self._read(_joined(state, qubit), qubit)
        numbers, axes = state
        ordered = numbers.transpose([axes.index(qubit) for qubit in reversed(self.measured)])
        return cast("NDArray[np.float64]", np.clip(ordered.reshape(-1), 0.0, None))

    def sample(self, shots: int, random: np.random.Generator) -> NDArray[np.uint8]:
        """What is read in each shot: a row of bits, in the order of `measured`."""
        bits = np.zeros((shots, len(self.measured)), dtype=np.uint8)
        most = max(1, LARGEST_STATE // self.shot_size)
        for start in range(0, shots, most):
            self._sample(bits[start : start + most], random)
        return bits

    def _sample(self, bits: NDArray[np.uint8], random: np.random.Generator) -> None:
        column = {qubit: place for place, qubit in enumerate(self.measured)}
        state: State = (np.ones(len(bits)), [_SHOTS])
        for step in self._steps:
            state = _applied(step, state)
            for qubit in step[0]:
                if self._last[qubit] is step:
                    if qubit in column:
                        state, bits[:, column[qubit]] = self._drawn(state, qubit, random)
                    else:
                        state = _traced(state, qubit)
        for qubit in self.measured:
            if qubit not in self._last:
                state, bits[:, column[qubit]] = self._drawn(_joined(state, qubit), qubit, random)

    def _drawn(self, state: State, qubit: int, random: np.random.Generator) -> tuple[State, NDArray[np.uint8]]:
        """The state of each shot once a qubit is read, and what was read."""
        numbers, axes = self._read(state, qubit)
        numbers = np.moveaxis(numbers, axes.index(_SHOTS), 1).reshape(2, numbers.shape[axes.index(_SHOTS)], -1)
        # The first coefficient, of I..I, is the trace: the probability of what is read.
        likely = np.clip(numbers[:, :, 0], 0.0, None)
        read = (random.random(numbers.shape[1]) * likely.sum(0) >= likely[0]).astype(np.uint8)
        shot = np.arange(numbers.shape[1])
        kept = numbers[read, shot] / likely[read, shot][:, None]
        rest = [axis for axis in axes if axis not in (qubit, _SHOTS)]
        return (kept.reshape(-1, *(4,) * len(rest)), [_SHOTS, *rest]), read

    def _read(self, state: State, qubit: int) -> State:
        """The state with the coefficients of a qubit made the probabilities to read 0 and 1."""
        wrong = self._device.qubits[qubit].readout_error or 0.0
        right = 0.5 - wrong
        reading = np.array([[0.5, 0.0, 0.0, right], [0.5, 0.0, 0.0, -right]])
        numbers, axes = state
        axis = axes.index(qubit)
        return np.tensordot(reading, numbers, (1, axis)), [qubit, *(other for other in axes if other != qubit)]


def _applied(step: Step, state: State) -> State:
    qubits, channel = step
    for qubit in qubits:
        if qubit not in state[1]:
            state = _joined(state, qubit)
    numbers, axes = state
    # The lowest qubit's letter changes fastest, so it is the last axis.
    involved = list(qubits[::-1])
    matrix = channel.reshape((4,) * (2 * len(qubits)))
    inner = range(len(qubits), 2 * len(qubits))
    numbers = np.tensordot(matrix, numbers, (inner, [axes.index(qubit) for qubit in involved]))
    return numbers, involved + [qubit for qubit in axes if qubit not in involved]


def _joined(state: State, qubit: int) -> State:
    numbers, axes = state
    return np.multiply.outer(_GROUND, numbers), [qubit, *axes]


def _traced(state: State, qubit: int) -> State:
    numbers, axes = state
    return np.take(numbers, 0, axis=axes.index(qubit)), [other for other in axes if other != qubit]
