"""Expansion of a circuit into gates that every engine knows, under a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiskit.circuit import BoxOp, CircuitInstruction, ControlFlowOp, Instruction, QuantumCircuit

from services.execution.programs.errors import ProgramError
from services.execution.programs.faults import LIBRARY_FAULTS, fault_message
from services.execution.programs.limits import branch_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit.circuit import Clbit, Qubit

STANDARD_GATES = frozenset(
    {"id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "t", "tdg", "p", "r", "rx", "ry", "rz", "u", "u1", "u2", "u3"}
    | {"cx", "cy", "cz", "cp", "csx", "ecr", "swap", "rxx", "ryy", "rzx", "rzz", "ccx", "cswap"}
)
"""Gates that are left as they are: what the engines have in common."""

DIRECTIVES = frozenset({"barrier", "delay"})
_KEPT = DIRECTIVES | {"measure", "reset", "break_loop", "continue_loop"}


@dataclass(slots=True)
class _Flattening:
    budget: int
    limit: int
    nesting: int

    def circuit(self, circuit: QuantumCircuit, depth: int) -> QuantumCircuit:
        """Return the circuit with the same bits and registers and nothing left to expand."""
        before = self.budget
        if all(self._spent(item) for item in circuit.data):
            return circuit
        self.budget = before
        flat = circuit.copy_empty_like()
        for item in circuit.data:
            self.emit(flat, item, item.qubits, item.clbits, depth)
        return flat

    def emit(
        self,
        flat: QuantumCircuit,
        item: CircuitInstruction,
        qubits: Sequence[Qubit],
        clbits: Sequence[Clbit],
        depth: int,
    ) -> None:
        """Append one operation, or what it is made of."""
        operation = item.operation
        if depth > self.nesting:
            raise ProgramError("TOO_DEEP", f"gates or blocks nest deeper than {self.nesting}")
        if _is_flat(item):
            self._spend(item.name, item.params)
            flat.append(operation, qubits, clbits, copy=False)
        elif isinstance(operation, BoxOp):
            self._inline(flat, operation.blocks[0], qubits, clbits, depth)
        elif isinstance(operation, ControlFlowOp):
            self._charge(branch_cost(len(clbits)))
            blocks = [self.circuit(block, depth + 1) for block in operation.blocks]
            if any(block.data for block in blocks):  # Aer can lose its way around an empty one (its issue 2215)
                flat.append(operation.replace_blocks(blocks), qubits, clbits, copy=False)
        else:
            self._inline(flat, _definition(operation), qubits, clbits, depth)

    def _inline(
        self,
        flat: QuantumCircuit,
        inner: QuantumCircuit,
        qubits: Sequence[Qubit],
        clbits: Sequence[Clbit],
        depth: int,
    ) -> None:
        self._charge()
        outer_qubit = dict(zip(inner.qubits, qubits, strict=True))
        outer_clbit = dict(zip(inner.clbits, clbits, strict=True))
        for item in inner.data:
            self.emit(
                flat,
                item,
                [outer_qubit[bit] for bit in item.qubits],
                [outer_clbit[bit] for bit in item.clbits],
                depth + 1,
            )

    def _spent(self, item: CircuitInstruction) -> bool:
        """Spend what a flat operation costs; False where it is not flat."""
        if not _is_flat(item):
            return False
        self._spend(item.name, item.params)
        return True

    def _charge(self, operations: int = 1) -> None:
        self.budget -= operations
        if self.budget < 0:
            message = f"the program means more than {self.limit} operations once its gates are expanded"
            raise ProgramError("TOO_MANY_OPERATIONS", message)

    def _spend(self, name: str, angles: Sequence[float]) -> None:
        if name in DIRECTIVES:
            return
        self._charge()
        if angles and not all(map(math.isfinite, angles)):
            raise ProgramError("UNSUPPORTED", f"an angle of gate {name} is not a finite number")


def flatten(circuit: QuantumCircuit, *, operations: int, nesting: int) -> QuantumCircuit:
    """Expand every definition and box; keep control flow, with its blocks expanded.

    Raises ProgramError past `operations` appended operations or `nesting` levels, for a gate without a definition and
    for an angle that is not finite.
    """
    return _Flattening(operations, operations, nesting).circuit(circuit, 0)


def _is_flat(item: CircuitInstruction) -> bool:
    """Tell what stays as it is: a library gate, and not a user's gate that bears its name."""
    return item.name in _KEPT or (item.name in STANDARD_GATES and item.is_standard_gate())


def _definition(operation: Instruction) -> QuantumCircuit:
    try:
        definition = operation.definition
    except LIBRARY_FAULTS as error:
        message = f"gate {operation.name} cannot be expanded: {fault_message(error)}"
        raise ProgramError("UNSUPPORTED", message) from error
    if definition is None:
        raise ProgramError("UNSUPPORTED", f"gate {operation.name} has no definition")
    return definition
