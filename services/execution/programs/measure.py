"""Measures of a flat circuit: one pass over its tape."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qiskit.circuit.library import get_standard_gate_name_mapping

from services.execution.programs.clifford import GENERATORS, clifford_form
from services.execution.programs.entanglement import DIAGONAL, Entanglement
from services.execution.programs.features import Features
from services.execution.programs.flatten import STANDARD_GATES
from services.execution.programs.tape import Branch, tape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit import QuantumCircuit

    from services.execution.programs.tape import Operation, Step, Tape

_NOT_GATES = frozenset({"measure", "reset", "break_loop", "continue_loop"})
_WIDE = frozenset(name for name in STANDARD_GATES if get_standard_gate_name_mapping()[name].num_qubits > 1)


@dataclass(slots=True)
class _Measuring:
    """Running totals; `level` has a place for each active qubit, and behind them for each classical bit."""

    width: int
    level: list[int]
    entanglement: Entanglement
    gates: Counter[str] = field(default_factory=Counter)
    measured: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)
    """Qubits whose measurement nothing has followed yet."""
    midway: int = 0
    reach: int = 0
    clifford: bool = True
    dynamic: bool = False
    unbounded: bool = False
    branching: bool = False

    def block(self, steps: Sequence[Step], times: int) -> None:
        """Add steps that run `times` times."""
        for name, count in Counter([step[0] for step in steps if not isinstance(step, Branch)]).items():
            self.gates[name] += times * count
        level, entanglement, measured = self.level, self.entanglement, self.measured
        for step in steps:
            if isinstance(step, Branch):
                self._branch(step, times)
                continue
            name, qubits, angles, _ = step
            if name in _NOT_GATES:
                self._other(step, times)
                continue
            if measured and not measured.isdisjoint(qubits):
                self.dynamic = True
                self._leave_midway(self.last.intersection(qubits), times)
            if len(qubits) == 1:
                level[qubits[0]] += times
            else:
                after = max([level[qubit] for qubit in qubits]) + times
                for qubit in qubits:
                    level[qubit] = after
                self.reach += times * (max(qubits) - min(qubits))
            if not entanglement.hopeless:
                entanglement.apply(name, qubits, times)
            if self.clifford and name not in GENERATORS:
                self.clifford = clifford_form(name, angles) is not None

    def _other(self, operation: Operation, times: int) -> None:
        """Add what is no gate."""
        name, qubits, _, clbits = operation
        wires = [*qubits, *[self.width + bit for bit in clbits]]
        after = max([self.level[wire] for wire in wires], default=0) + times
        for wire in wires:
            self.level[wire] = after
        self._leave_midway(self.last.intersection(qubits), times)
        if name == "measure":
            self.measured.update(qubits)
            self.last.update(qubits)
            self.midway += times - 1
        elif name == "reset":
            self.dynamic = True
            self.midway += times
        for qubit in qubits:
            self.entanglement.collapse(qubit)

    def _leave_midway(self, qubits: set[int], times: int) -> None:
        """Count the measurements of these qubits among those that something follows."""
        self.midway += len(qubits) * times
        self.last -= qubits

    def _branch(self, branch: Branch, times: int) -> None:
        self.dynamic = self.branching = True
        self.unbounded |= branch.unbounded
        self._leave_midway(set(self.last), 1)
        wires = [*branch.qubits, *[self.width + bit for bit in branch.clbits]]
        start = deepest = max((self.level[wire] for wire in wires), default=0)
        for block in branch.blocks:
            for wire in wires:
                self.level[wire] = start
            self.entanglement.forget(branch.qubits)
            self.block(block, times * branch.times)
            deepest = max([deepest, *[self.level[wire] for wire in wires]])
        self.entanglement.forget(branch.qubits)
        for wire in wires:
            self.level[wire] = deepest


def features_of(circuit: QuantumCircuit) -> Features:
    """Return the features of a flat circuit (see `flatten`)."""
    return features_of_tape(tape_of(circuit))


def features_of_tape(tape: Tape) -> Features:
    """Return the features of a flat circuit from its tape."""
    width = tape.width
    totals = _Measuring(width, [0] * (width + tape.num_clbits), Entanglement(width))
    totals.block(tape.steps, 1)
    return Features(
        num_qubits=tape.num_qubits,
        num_clbits=tape.num_clbits,
        active_qubits=width,
        depth=max(totals.level, default=0),
        gate_count=sum(count for name, count in totals.gates.items() if name not in _NOT_GATES),
        two_qubit_gate_count=sum(totals.gates[name] for name in _WIDE & totals.gates.keys()),
        reach=totals.reach,
        measurement_count=totals.gates["measure"],
        measured_qubit_count=len(totals.measured),
        cut_rank_bits=totals.entanglement.most_bits,
        rank_work_bits=totals.entanglement.work_bits,
        clifford=totals.clifford,
        dynamic=totals.dynamic,
        unbounded=totals.unbounded,
        branching=totals.branching,
        midway_count=totals.midway,
        diagonal_gate_count=sum(totals.gates[name] for name in DIAGONAL & totals.gates.keys()),
        gates=dict(sorted(totals.gates.items())),
    )
