"""OpenQASM 2 or 3 text to a `Program`: the one way in.

Runs on hostile text in bounded time for the constructs it knows how to count, but the parsers behind it are not ours:
call it in a child process with a time and a memory limit.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from services.execution.programs.circuit import plain_program, program_of
from services.execution.programs.errors import ProgramError
from services.execution.programs.prescan import check_width, scan
from services.execution.programs.version2 import parse_version2
from services.execution.programs.version3 import parse_version3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit.circuit import QuantumCircuit

    from services.execution.programs.features import Features
    from services.execution.programs.limits import Limits
    from services.execution.programs.program import Program, Version

NO_INPUTS: Mapping[str, float] = MappingProxyType({})


def parse_openqasm(source: str, limits: Limits, inputs: Mapping[str, float] = NO_INPUTS) -> Program:
    """Parse, check and flatten a program, with values for the inputs that it declares (OpenQASM 3).

    A program without any measurement gets one of every qubit into a register `meas`, and a note that says so.
    Raises ProgramError.
    """
    plain = None if inputs else plain_program(source, limits)
    if plain is not None:
        return plain
    circuit, version = parse_circuit(source, limits, inputs)
    return program_of(circuit, limits, version=version)


def parse_circuit(
    source: str, limits: Limits, inputs: Mapping[str, float] = NO_INPUTS
) -> tuple[QuantumCircuit, Version]:
    """Parse and check a program; its circuit is not yet flat. Raises ProgramError, of field `inputs` for an input."""
    found = scan(source, limits)
    if found.version == "2.0" and inputs:
        raise ProgramError("UNKNOWN_INPUT", "OpenQASM 2 has no inputs; use OpenQASM 3", field="inputs")
    try:
        circuit = parse_version2(found, limits) if found.version == "2.0" else parse_version3(found, limits, inputs)
        check_width(found, limits, circuit.num_qubits, circuit.num_clbits, None)
        if circuit.num_qubits == 0:
            raise ProgramError("NO_QUBITS", "the program declares no qubits")
    except RecursionError as error:
        raise ProgramError("TOO_DEEP", "the program nests too deeply") from error
    return circuit, found.version


def program_features(source: str, limits: Limits) -> Features:
    """Return only what crosses a process boundary. Raises ProgramError."""
    return parse_openqasm(source, limits).features
