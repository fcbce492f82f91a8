"""A circuit to a `Program`: flattened, measured, its output registers named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import ClassicalRegister, QuantumCircuit

from services.execution.programs.errors import ProgramError
from services.execution.programs.flatten import flatten
from services.execution.programs.layout import Layout
from services.execution.programs.measure import features_of_tape
from services.execution.programs.plain import read_plain
from services.execution.programs.program import Program
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    from services.execution.programs.limits import Limits
    from services.execution.programs.program import Version

MEASURED_ALL = "the program measures nothing, so every qubit was measured at its end into register meas"


def program_of(circuit: QuantumCircuit, limits: Limits, *, version: Version = "3.0") -> Program:
    """Flatten a circuit and measure it, within `limits`; `version` is that of the OpenQASM text it came from.

    A circuit without any measurement gets one of every qubit into a register `meas`, and a note that says so.
    Raises ProgramError.
    """
    try:
        flat = flatten(circuit, operations=limits.operations, nesting=limits.nesting)
    except RecursionError as error:
        raise ProgramError("TOO_DEEP", "the program nests too deeply") from error
    notes: tuple[str, ...] = ()
    if not _measures(flat):
        flat = _measure_all(flat)
        notes = (MEASURED_ALL,)
    tape = tape_of(flat)
    return Program(tape, features_of_tape(tape), version, output_registers(flat), notes, made=flat)


def plain_program(source: str, limits: Limits) -> Program | None:
    """Return the program of a text that needs no parser (see `plain`), None for any other.

    It is what `program_of` would return, but its circuit is made when it is asked for: few engines do.
    """
    plain = read_plain(source, limits)
    if plain is None:
        return None
    notes = (MEASURED_ALL,) if plain.measured_all else ()
    made = Layout(plain.qubits, plain.clbits)
    return Program(plain.tape, features_of_tape(plain.tape), plain.version, made.outputs, notes, made=made)


def unmeasured(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit without its measurements and classical bits."""
    bare = QuantumCircuit(circuit.qubits, *circuit.qregs)
    for item in circuit.data:
        if item.name != "measure":
            bare.append(item, copy=False)
    return bare


def output_registers(circuit: QuantumCircuit) -> tuple[tuple[str, int], ...]:
    """Group the circuit's bits, in their order, by the first register that holds each.

    Later registers over the same bits (OpenQASM 3 aliases, conditions on slices) are left out, and a bit of no
    register stands alone.
    """
    groups: list[tuple[str, int]] = []
    for index, bit in enumerate(circuit.clbits):
        homes = circuit.find_bit(bit).registers
        name = homes[0][0].name if homes else f"bit{index}"
        if groups and groups[-1][0] == name:
            groups[-1] = (name, groups[-1][1] + 1)
        else:
            groups.append((name, 1))
    return tuple(groups)


def _measures(circuit: QuantumCircuit) -> bool:
    return any(
        item.name == "measure" or (item.is_control_flow() and any(_measures(block) for block in item.operation.blocks))
        for item in circuit.data
    )


def _measure_all(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with every qubit measured, and without classical bits that nothing uses."""
    qubits = circuit.num_qubits
    if circuit.clbits and not any(item.clbits for item in circuit.data):
        bare = QuantumCircuit(circuit.qubits, *circuit.qregs)
        for item in circuit.data:
            bare.append(item, copy=False)
        circuit = bare
    taken = any(register.name == "meas" for register in (*circuit.qregs, *circuit.cregs))
    register = ClassicalRegister(qubits, "meas_all" if taken else "meas")
    circuit.add_register(register)
    circuit.measure(range(qubits), register)
    return circuit
