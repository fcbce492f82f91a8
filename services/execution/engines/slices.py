"""A matrix product state whose bonds are looked at on the way: its true rank may be far below what gates allow.

The circuit is cut where the bound of the bond dimension passes FIRST_BITS, later MOST_BITS; the bonds that there are
then replace the bound. So a slice is short while the rank is unknown, nothing is truncated, and where the attempt ends
is a matter of the circuit alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.execution.engines.aer import AerEngine, draw_chain
from services.execution.engines.engine import EngineError, Method
from services.execution.programs.entanglement import Entanglement

if TYPE_CHECKING:
    from services.execution.engines.readout import Readout
    from services.execution.engines.simulating import Draw
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Operation, Tape

FIRST_BITS, MOST_BITS = 4, 6
LOW_BITS = 2
"""log2 of the bond dimension between two slices, at most."""


class SliceEngine(AerEngine):
    """Runs what keeps a low rank in so many slices, and refuses the rest once it has found out."""

    def __init__(self, *, threads: int, most_slices: int) -> None:
        """Make the simulators."""
        super().__init__(threads=threads)
        self._most_slices = most_slices

    def check(self, program: Program, method: Method) -> None:
        """Ask for no memory: the bonds are bounded here, whatever the features allow."""

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the state at the end of the last slice."""
        tape = program.tape
        bound, most, slices = Entanglement(tape.width), FIRST_BITS, 1
        piece: list[Operation] = []
        state: Any = None
        for operation in tape.operations():
            name, qubits, _, _ = operation
            if name == "measure":
                continue
            bound.apply(name, qubits, 1)
            if max(bound.bits, default=0) > most:
                state = self._advance(tape, piece, state)
                bound.bits = [math.ceil(math.log2(len(weights))) for weights in state[1]]
                if (slices := slices + 1) > self._most_slices or max(bound.bits) > LOW_BITS:
                    raise EngineError("UNSUPPORTED", "the circuit entangles its qubits too much for slices")
                bound.apply(name, qubits, 1)
                most = MOST_BITS
                piece = []
            piece.append(operation)
        return draw_chain(self._advance(tape, piece, state), readout, shots, seed)

    def _advance(self, tape: Tape, piece: list[Operation], state: Any) -> Any:  # noqa: ANN401 - Aer has no types
        part = replace(tape, steps=tuple(piece))
        return self._assembled["matrix_product_state"].run(part, "matrix_product_state", range(tape.width), begin=state)
