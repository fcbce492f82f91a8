"""A flat circuit as routing takes it, which reads it without qiskit (services/routing/prediction/circuit.py).

Barriers go with it as gates of that name, for a transpiler moves nothing over them.

msgpack [structure, angles]
structure: msgpack [qubits, classical bits, [[gate, [qubit, ...], [classical bit, ...], angles], ...]]
angles:    the radians of all gates in their order, as little-endian doubles
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from services.execution.programs.tape import Tape

MOST_STEPS = 20_000
"""A longer circuit is not told: nothing would be fitted to a machine by it."""


def encode(tape: Tape) -> bytes:
    """The bytes of a tape, its active qubits numbered as there; empty for one that branches or is very long."""
    if tape.branches or not tape.steps or len(tape.steps) + len(tape.barriers) > MOST_STEPS:
        return b""
    steps: list[tuple[str, tuple[int, ...], tuple[int, ...], int]] = []
    angles = array("d")
    barriers = deque(tape.barriers)
    for place, (name, qubits, turned, clbits) in enumerate(tape.operations()):
        while barriers and barriers[0][0] == place:
            steps.append(("barrier", barriers.popleft()[1], (), 0))
        steps.append((name, qubits, clbits, len(turned)))
        angles.extend(turned)
    if sys.byteorder == "big":
        angles.byteswap()
    structure = msgspec.msgpack.encode((tape.width, tape.num_clbits, steps))
    return msgspec.msgpack.encode((structure, angles.tobytes()))
