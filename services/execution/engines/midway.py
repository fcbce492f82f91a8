"""State vectors of circuits that measure or reset midway: shots that agree so far go on together.

At a measurement the shots part binomially, so that a million of them cost no more than there are branches; what is
measured at the end is sampled from each branch's state as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qulacs import QuantumState
from qulacs.gate import P0, P1, X

from services.execution.engines.sampling import IMPOSSIBLE, distinct, generator, marginal, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qulacs import QuantumCircuit as Circuit

    from services.execution.programs.tape import Operation, Tape

_Part = tuple[QuantumState, int, int, "NDArray[np.uint8]"]
"""A state, the segment that comes next, the shots that are in it, and their classical bits so far."""


def run_midway(
    tape: Tape, circuit_of: Callable[[Sequence[Operation]], Circuit], *, shots: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return distinct rows of classical bits and their counts; `circuit_of` makes a circuit of gates."""
    random = generator(seed, "midway")
    midway, last = _parted(tape)
    segments = [(circuit_of(gates), event) for gates, event in midway]
    rows, counts = [], []
    parts: list[_Part] = [(QuantumState(tape.width), 0, shots, np.zeros(tape.num_clbits, dtype=np.uint8))]
    while parts:
        state, place, share, bits = parts.pop()
        circuit, event = segments[place]
        circuit.update_quantum_state(state)
        if event is None:
            found, count = _read(state, last, bits, share, random)
            rows.append(found)
            counts.append(count)
            continue
        ones = int(random.binomial(share, _probability_of_one(state, event[1][0])))
        for value, agreeing in ((0, share - ones), (1, ones)):
            if agreeing:
                after = state if agreeing == share else state.copy()
                _collapse(after, event, value)
                parts.append((after, place + 1, agreeing, _written(bits, event, value)))
    return distinct(np.concatenate(rows), np.concatenate(counts))


def _probability_of_one(state: QuantumState, qubit: int) -> float:
    one = 1.0 - float(state.get_zero_probability(qubit))
    return 0.0 if one < IMPOSSIBLE else 1.0 if one > 1.0 - IMPOSSIBLE else one


def _collapse(state: QuantumState, event: Operation, value: int) -> None:
    """Project a qubit on what was read; a reset turns a 1 back."""
    name, (qubit, *_), _, _ = event
    (P1 if value else P0)(qubit).update_quantum_state(state)
    state.normalize(state.get_squared_norm())
    if name == "reset" and value:
        X(qubit).update_quantum_state(state)


def _written(bits: NDArray[np.uint8], event: Operation, value: int) -> NDArray[np.uint8]:
    if event[0] == "reset":
        return bits
    bits = bits.copy()
    bits[event[3][0]] = value
    return bits


def _read(
    state: QuantumState, last: Sequence[Operation], bits: NDArray[np.uint8], shots: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Sample the measurements at the end of a branch."""
    home = {clbits[0]: qubits[0] for _, qubits, _, clbits in last}
    qubits = sorted(set(home.values()))
    vector = state.get_vector()
    indices, counts = sample(marginal(vector.real**2 + vector.imag**2, qubits), shots, random)
    rows = np.tile(bits, (len(indices), 1))
    for clbit, qubit in home.items():
        rows[:, clbit] = indices >> qubits.index(qubit) & 1
    return rows, counts


def _parted(tape: Tape) -> tuple[list[tuple[list[Operation], Operation | None]], list[Operation]]:
    """Return the gates before each measurement or reset midway, that event itself, and the measurements at the end.

    At the end is what can wait for it: nothing touches its qubit afterwards, nor writes its bit midway.
    """
    touched: set[int] = set()
    written: set[int] = set()
    last: list[Operation] = []
    rest: list[Operation] = []
    for step in reversed(tape.operations()):
        name, qubits, _, clbits = step
        if name == "measure" and touched.isdisjoint(qubits) and written.isdisjoint(clbits):
            last.append(step)
        else:
            touched.update(qubits)
            written.update(clbits)
            rest.append(step)
    segments: list[tuple[list[Operation], Operation | None]] = [([], None)]
    for step in reversed(rest):
        if step[0] in {"measure", "reset"}:
            segments[-1] = (segments[-1][0], step)
            segments.append(([], None))
        else:
            segments[-1][0].append(step)
    return segments, last[::-1]
