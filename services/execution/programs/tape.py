"""A flat circuit as plain tuples, walked out of qiskit's objects once and read by everything after.

`flatten` leaves standard gates, measurements, resets and control flow. The walk costs about 1 µs an operation; every
reader (features, readout, each engine's transcoder) is then a loop over tuples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from qiskit.circuit import ForLoopOp, WhileLoopOp

from services.execution.programs.flatten import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit import QuantumCircuit
    from qiskit.circuit import Bit, ControlFlowOp

Operation = tuple[str, tuple[int, ...], tuple[float, ...], tuple[int, ...]]
"""Name, qubits, angles in radians, classical bits."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Control flow: one of `blocks` runs, `times` times (the iterations of a counted loop, else 1)."""

    qubits: tuple[int, ...]
    clbits: tuple[int, ...]
    blocks: tuple[tuple[Step, ...], ...]
    times: int
    unbounded: bool


Step = Operation | Branch


@dataclass(frozen=True, slots=True)
class Tape:
    """The steps of a flat circuit, its barriers apart and without its delays.

    Qubits are numbered over the active ones alone, those that a step touches; `active` has the number that each of them
    bears in the circuit, ascending. Classical bits keep their numbers.
    """

    steps: tuple[Step, ...]
    active: tuple[int, ...]
    num_qubits: int
    num_clbits: int
    barriers: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Those outside of branches, in order: before which step, and on which active qubits."""

    @property
    def branches(self) -> bool:
        """Whether there is control flow."""
        return Branch in set(map(type, self.steps))

    def operations(self) -> tuple[Operation, ...]:
        """The steps of a tape without control flow."""
        return cast("tuple[Operation, ...]", self.steps)

    @property
    def width(self) -> int:
        """How many qubits are active."""
        return len(self.active)


def tape_of(circuit: QuantumCircuit, *, with_idle: bool = False) -> Tape:
    """Return the tape of a flat circuit; `with_idle` counts every qubit as active."""
    qubits: dict[Bit, int] = {bit: place for place, bit in enumerate(circuit.qubits)}
    clbits: dict[Bit, int] = {bit: place for place, bit in enumerate(circuit.clbits)}
    active = range(circuit.num_qubits) if with_idle else _active(circuit)
    if len(active) < circuit.num_qubits:
        place = {qubit: new for new, qubit in enumerate(active)}
        qubits = {bit: place.get(qubit, -1) for bit, qubit in qubits.items()}
    barriers = _barriers(circuit, qubits)
    return Tape(_steps(circuit, qubits, clbits), tuple(active), circuit.num_qubits, circuit.num_clbits, barriers)


def _active(circuit: QuantumCircuit) -> Sequence[int]:
    touched: set[Bit] = set()
    waiting = circuit.num_qubits
    for item in circuit.data:
        if item.name not in DIRECTIVES:
            if item.is_control_flow():
                for block in item.operation.blocks:
                    touched.update(item.qubits[inner] for inner in _active(block))
            else:
                touched.update(item.qubits)
            if len(touched) == waiting:
                return range(waiting)
    return [place for place, bit in enumerate(circuit.qubits) if bit in touched]


def _steps(circuit: QuantumCircuit, qubits: dict[Bit, int], clbits: dict[Bit, int]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for item in circuit.data:
        name = item.name
        if name in DIRECTIVES:
            continue
        wires = tuple([qubits[bit] for bit in item.qubits])
        bits = tuple([clbits[bit] for bit in item.clbits]) if item.clbits else ()
        if item.is_control_flow():
            steps.append(_branch(item.operation, wires, bits))
        else:
            angles = item.params
            steps.append((name, wires, tuple([float(angle) for angle in angles]) if angles else (), bits))
    return tuple(steps)


def _barriers(circuit: QuantumCircuit, qubits: dict[Bit, int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    found, step = [], 0
    for item in circuit.data:
        if item.name == "barrier":
            wires = tuple([place for bit in item.qubits if (place := qubits[bit]) >= 0])
            if wires:
                found.append((step, wires))
        elif item.name not in DIRECTIVES:
            step += 1
    return tuple(found)


def _branch(operation: ControlFlowOp, qubits: tuple[int, ...], clbits: tuple[int, ...]) -> Branch:
    blocks = tuple(
        _steps(
            block,
            dict(zip(block.qubits, qubits, strict=True)),
            dict(zip(block.clbits, clbits, strict=True)),
        )
        for block in operation.blocks
    )
    times = len(operation.params[0]) if isinstance(operation, ForLoopOp) else 1
    touched = {qubit for qubit in qubits if qubit >= 0}
    return Branch(tuple(sorted(touched)), clbits, blocks, times, isinstance(operation, WhileLoopOp))
