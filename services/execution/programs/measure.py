"""Measures of a flat circuit: one pass over its operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qiskit.circuit import ForLoopOp, WhileLoopOp

from services.execution.programs.clifford import GENERATORS, clifford_form
from services.execution.programs.entanglement import DIAGONAL, Entanglement
from services.execution.programs.features import Features
from services.execution.programs.flatten import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit import QuantumCircuit
    from qiskit.circuit import Bit, CircuitInstruction, ControlFlowOp

_NOT_GATES = DIRECTIVES | {"measure", "reset", "break_loop", "continue_loop"}


@dataclass(slots=True)
class _Measuring:
    """Running totals; bits are known by their index in the outermost circuit."""

    num_qubits: int
    level: list[int]
    entanglement: Entanglement
    gates: Counter[str] = field(default_factory=Counter)
    active: set[int] = field(default_factory=set)
    measured: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)
    """Qubits whose measurement nothing has followed yet."""
    midway: int = 0
    wide: int = 0
    reach: int = 0
    diagonal: int = 0
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
            self._measurement(qubits[0], times)
            return
        self.dynamic |= name == "reset" or not self.measured.isdisjoint(qubits)
        self._leave_midway(self.last.intersection(qubits), times)
        if name == "reset":
            self.midway += times
            self.entanglement.collapse(qubits[0])
            return
        if name in _NOT_GATES:
            return
        self.entanglement.apply(name, qubits, times)
        self.diagonal += times * (name in DIAGONAL)
        if len(qubits) > 1:
            self.wide += times
            self.reach += times * (max(qubits) - min(qubits))
        if self.clifford and name not in GENERATORS:
            self.clifford = clifford_form(name, tuple(float(angle) for angle in item.params)) is not None

    def _measurement(self, qubit: int, times: int) -> None:
        self._leave_midway(self.last.intersection((qubit,)), times)
        self.measured.add(qubit)
        self.last.add(qubit)
        self.midway += times - 1
        self.entanglement.collapse(qubit)

    def _leave_midway(self, qubits: set[int], times: int) -> None:
        """Count the measurements of these qubits among those that something follows."""
        self.midway += len(qubits) * times
        self.last -= qubits

    def _control_flow(self, operation: ControlFlowOp, qubits: list[int], clbits: list[int], times: int) -> None:
        self.dynamic = True
        self._leave_midway(set(self.last), 1)
        self.unbounded |= isinstance(operation, WhileLoopOp)
        if isinstance(operation, ForLoopOp):
            times *= len(operation.params[0])
        wires = qubits + clbits
        start = max((self.level[wire] for wire in wires), default=0)
        deepest = start
        for block in operation.blocks:
            for wire in wires:
                self.level[wire] = start
            self.entanglement.forget(qubits)
            self.block(block, qubits, [bit - self.num_qubits for bit in clbits], times)
            deepest = max([deepest, *(self.level[wire] for wire in wires)])
        self.entanglement.forget(qubits)
        for wire in wires:
            self.level[wire] = deepest


def features_of(circuit: QuantumCircuit) -> Features:
    """Return the features of a flat circuit (see `flatten`)."""
    qubits, clbits = circuit.num_qubits, circuit.num_clbits
    totals = _Measuring(qubits, [0] * (qubits + clbits), Entanglement(qubits))
    totals.block(circuit, range(qubits), range(clbits), 1)
    return Features(
        num_qubits=qubits,
        num_clbits=clbits,
        active_qubits=len(totals.active),
        depth=max(totals.level, default=0),
        gate_count=sum(count for name, count in totals.gates.items() if name not in _NOT_GATES),
        two_qubit_gate_count=totals.wide,
        reach=totals.reach,
        measurement_count=totals.gates["measure"],
        measured_qubit_count=len(totals.measured),
        cut_rank_bits=totals.entanglement.most_bits,
        rank_work_bits=totals.entanglement.work_bits,
        clifford=totals.clifford,
        dynamic=totals.dynamic,
        unbounded=totals.unbounded,
        midway_count=totals.midway,
        diagonal_gate_count=totals.diagonal,
        gates=dict(sorted(totals.gates.items())),
    )
