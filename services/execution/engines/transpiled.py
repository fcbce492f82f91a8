"""The circuit that a machine, or its twin, really runs: fitted to its gates and wiring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiskit import qasm3

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


@dataclass(frozen=True, slots=True)
class Transpiled:
    """A program fitted to a device.

    `circuit` acts on the device's own qubits and gates. `layout` names the device's qubit on which each qubit of the
    program starts, None for one that no operation touches; routing may end elsewhere, the measurements know where.
    `optimization_level` is the transpiler's, 0 to 3.
    """

    circuit: QuantumCircuit
    layout: tuple[int | None, ...]
    optimization_level: int

    @property
    def depth(self) -> int:
        """The length of the longest chain of operations that wait for one another."""
        return int(self.circuit.depth())

    @property
    def gate_count(self) -> int:
        """The gates, without measurements, resets and delays."""
        return int(self.circuit.size(lambda item: item.name not in {"measure", "reset", "delay", "barrier"}))

    @property
    def two_qubit_gate_count(self) -> int:
        """The gates on two or more qubits."""
        return int(self.circuit.num_nonlocal_gates())

    def openqasm(self) -> str:
        """The circuit as OpenQASM 3; takes about 50 µs a gate."""
        return str(qasm3.dumps(self.circuit))
