"""OpenQASM 2 or 3 text to a `Program`: the one way in.

Runs on hostile text in bounded time for the constructs it knows how to count, but the parsers behind it are not ours:
call it in a child process with a time and a memory limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import ClassicalRegister, QuantumCircuit

from services.execution.programs.errors import ProgramError
from services.execution.programs.flatten import flatten
from services.execution.programs.measure import features_of
from services.execution.programs.prescan import check_width, scan
from services.execution.programs.program import Program
from services.execution.programs.version2 import parse_version2
from services.execution.programs.version3 import parse_version3

if TYPE_CHECKING:
    from services.execution.programs.features import Features
    from services.execution.programs.limits import Limits

_MEASURED_ALL = "the program measures nothing, so every qubit was measured at its end into register meas"


def parse_openqasm(source: str, limits: Limits) -> Program:
    """Parse, check and flatten a program.

    A program without any measurement gets one of every qubit into a register `meas`, and a note that says so.
    Raises ProgramError.
    """
    found = scan(source, limits)
    try:
        circuit = parse_version2(found, limits) if found.version == "2.0" else parse_version3(found, limits)
        check_width(found, limits, circuit.num_qubits, circuit.num_clbits, None)
        if circuit.num_qubits == 0:
            raise ProgramError("NO_QUBITS", "the program declares no qubits")
        flat = flatten(circuit, operations=limits.operations, nesting=limits.nesting)
    except RecursionError as error:
        raise ProgramError("TOO_DEEP", "the program nests too deeply") from error
    notes: tuple[str, ...] = ()
    if not _measures(flat):
        flat = _measure_all(flat)
        notes = (_MEASURED_ALL,)
    features = features_of(flat)
    return Program(flat, features, found.version, output_registers(flat), notes)


def program_features(source: str, limits: Limits) -> Features:
    """Return only what crosses a process boundary. Raises ProgramError."""
    return parse_openqasm(source, limits).features


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
    name = "meas" if all(register.name != "meas" for register in circuit.cregs) else "meas_all"
    register = ClassicalRegister(qubits, name)
    circuit.add_register(register)
    circuit.measure(range(qubits), register)
    return circuit
