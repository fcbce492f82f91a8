"""A matrix product state whose bonds are looked at on the way: its true rank may be far below what gates allow.

The circuit is cut where the bound of the bond dimension passes FIRST_BITS, later MOST_BITS; the bonds that there are
then replace the bound. So a slice is short while the rank is unknown, nothing is truncated, and where the attempt ends
is a matter of the circuit alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qiskit.circuit import QuantumCircuit

from services.execution.engines.aer import AerEngine, draw_chain, gates_of
from services.execution.engines.engine import EngineError, Method
from services.execution.programs.entanglement import Entanglement

if TYPE_CHECKING:
    from services.execution.engines.readout import Readout
    from services.execution.engines.simulating import Draw
    from services.execution.programs.program import Program

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

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:
        """Sample the state at the end of the last slice."""
        bare = gates_of(program.tape)
        number = {qubit: index for index, qubit in enumerate(bare.qubits)}
        bound, most, slices = Entanglement(bare.num_qubits), FIRST_BITS, 1
        piece = QuantumCircuit(bare.num_qubits)
        for item in bare.data:
            qubits = [number[qubit] for qubit in item.qubits]
            bound.apply(item.name, qubits, 1)
            if max(bound.bits, default=0) > most:
                state = self._advance(piece, method)
                bound.bits = [math.ceil(math.log2(len(weights))) for weights in state[1]]
                if (slices := slices + 1) > self._most_slices or max(bound.bits) > LOW_BITS:
                    raise EngineError("UNSUPPORTED", "the circuit entangles its qubits too much for slices")
                bound.apply(item.name, qubits, 1)
                most = MOST_BITS
                piece = QuantumCircuit(bare.num_qubits)
                piece.set_matrix_product_state(state)
            piece.append(item.operation, qubits, copy=False)
        state = self._advance(piece, method)
        return draw_chain(state, readout, shots, seed)

    def _advance(self, piece: QuantumCircuit, method: Method) -> Any:  # noqa: ANN401 - Aer has no types
        piece.save_matrix_product_state()
        return self.execute(piece, method, shots=1, seed=0)["matrix_product_state"]
