"""Measures of a flat circuit: one pass over its operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qiskit.circuit import ForLoopOp, WhileLoopOp

from services.execution.programs.clifford import GENERATORS, clifford_form
from services.execution.programs.features import Features
from services.execution.programs.flatten import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit import QuantumCircuit
    from qiskit.circuit import Bit, CircuitInstruction, ControlFlowOp

_NOT_GATES = DIRECTIVES | {"measure", "reset", "break_loop", "continue_loop"}
_RANK_FOUR = frozenset({"swap", "cswap"})
"""Gates whose operator Schmidt rank may be 4 over a cut between their qubits; it is 2 for the other standard gates."""


@dataclass(slots=True)
class _Measuring:
    """Running totals; bits are known by their index in the outermost circuit."""

    num_qubits: int
    level: list[int]
    crossings: list[int]
    gates: Counter[str] = field(default_factory=Counter)
    active: set[int] = field(default_factory=set)
    measured: set[int] = field(default_factory=set)
    wide: int = 0
    clifford: bool = True
    dynamic: bool = False
    unbounded: bool = False

    def block(self, circuit: QuantumCircuit, qubits: Sequence[int], clbits: Sequence[int], times: int) -> None:
        """Add the operations of a circuit whose bits are the given ones, run `times` times."""
        place: dict[Bit, int] = dict(zip(circuit.qubits, qubits, strict=True))
        place.update((bit, self.num_qubits + index) for bit, index in zip(circuit.clbits, clbits, strict=True))
        for item in circuit.data:
            wires = [place[bit] for bit in (*item.qubits, *item.clbits)]
            width = len(item.qubits)
            if item.is_control_flow():
                self._control_flow(item.operation, wires[:width], wires[width:], times)
            elif item.name not in DIRECTIVES:
                self._operation(item, wires[:width], wires, times)

    def _operation(self, item: CircuitInstruction, qubits: list[int], wires: list[int], times: int) -> None:
        name = item.name
        self.active.update(qubits)
        self.gates[name] += times
        after = max((self.level[wire] for wire in wires), default=0) + times
        for wire in wires:
            self.level[wire] = after
        if name == "measure":
            self.measured.update(qubits)
            return
        self.dynamic |= name == "reset" or not self.measured.isdisjoint(qubits)
        if len(qubits) > 1:
            self.wide += times
            rank_bits = 2 if name in _RANK_FOUR else 1
            for cut in range(min(qubits), max(qubits)):
                self.crossings[cut] += rank_bits * times
        if self.clifford and name not in GENERATORS and name not in _NOT_GATES:
            self.clifford = clifford_form(name, tuple(float(angle) for angle in item.params)) is not None

    def _control_flow(self, operation: ControlFlowOp, qubits: list[int], clbits: list[int], times: int) -> None:
        self.dynamic = True
        self.unbounded |= isinstance(operation, WhileLoopOp)
        if isinstance(operation, ForLoopOp):
            times *= len(operation.params[0])
        wires = qubits + clbits
        start = max((self.level[wire] for wire in wires), default=0)
        deepest = start
        for block in operation.blocks:
            for wire in wires:
                self.level[wire] = start
            self.block(block, qubits, [bit - self.num_qubits for bit in clbits], times)
            deepest = max([deepest, *(self.level[wire] for wire in wires)])
        for wire in wires:
            self.level[wire] = deepest


def features_of(circuit: QuantumCircuit) -> Features:
    """Return the features of a flat circuit (see `flatten`)."""
    qubits, clbits = circuit.num_qubits, circuit.num_clbits
    totals = _Measuring(qubits, [0] * (qubits + clbits), [0] * max(qubits - 1, 0))
    totals.block(circuit, range(qubits), range(clbits), 1)
    return Features(
        num_qubits=qubits,
        num_clbits=clbits,
        active_qubits=len(totals.active),
        depth=max(totals.level, default=0),
        gate_count=sum(count for name, count in totals.gates.items() if name not in _NOT_GATES),
        two_qubit_gate_count=totals.wide,
        measurement_count=totals.gates["measure"],
        cut_rank_bits=max(
            (min(bits, cut + 1, qubits - cut - 1) for cut, bits in enumerate(totals.crossings)), default=0
        ),
        clifford=totals.clifford,
        dynamic=totals.dynamic,
        unbounded=totals.unbounded,
        gates=dict(sorted(totals.gates.items())),
    )
