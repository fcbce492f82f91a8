"""The registers of a tape, by which it becomes a circuit of qiskit again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Clbit, QuantumRegister, Qubit
from qiskit.circuit.library import Barrier, get_standard_gate_name_mapping

if TYPE_CHECKING:
    from services.execution.programs.tape import Operation, Tape
    from services.execution.programs.wires import Registers

_MADE = get_standard_gate_name_mapping()
_END: Operation = ("", (), (), ())


class Layout(NamedTuple):
    """Registers of qubits and of classical bits, by name and size; the size of a lone bit is None."""

    qubits: Registers
    clbits: Registers

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """The classical registers as results name them (see `circuit.output_registers`)."""
        named, bit = [], 0
        for name, size in self.clbits:
            named.append((f"bit{bit}" if size is None else name, size or 1))
            bit += size or 1
        return tuple(named)

    def circuit_of(self, tape: Tape) -> QuantumCircuit:
        """Return the circuit of a tape without control flow, its qubits those of the registers again."""
        circuit = QuantumCircuit()
        for name, size in self.qubits:
            circuit.add_bits([Qubit()]) if size is None else circuit.add_register(QuantumRegister(size, name))
        for name, size in self.clbits:
            circuit.add_bits([Clbit()]) if size is None else circuit.add_register(ClassicalRegister(size, name))
        qubits = [circuit.qubits[qubit] for qubit in tape.active]
        clbits = circuit.clbits
        barriers = deque(tape.barriers)
        for place, (name, wires, angles, bits) in enumerate((*tape.operations(), _END)):
            while barriers and barriers[0][0] == place:
                across = barriers.popleft()[1]
                circuit.append(Barrier(len(across)), [qubits[wire] for wire in across], copy=False)
            if name:
                made = _MADE[name].base_class(*angles) if angles else _MADE[name]
                circuit.append(made, [qubits[wire] for wire in wires], [clbits[bit] for bit in bits], copy=False)
        return circuit
