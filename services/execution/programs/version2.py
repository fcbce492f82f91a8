"""OpenQASM 2 by qiskit's Rust parser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qiskit import qasm2
from qiskit.circuit.library import C3SXGate, RYYGate, RZXGate

from services.execution.programs.errors import ProgramError
from services.execution.programs.expansion import check_expansion
from services.execution.programs.faults import LIBRARY_FAULTS, fault_message

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from services.execution.programs.limits import Limits
    from services.execution.programs.prescan import Scan

_PLACE = re.compile(r"^<input>:(\d+),(\d+): (.*)$", re.DOTALL)
_GATES = (
    *qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
    qasm2.CustomInstruction("ryy", 1, 2, RYYGate, builtin=True),
    qasm2.CustomInstruction("rzx", 1, 2, RZXGate, builtin=True),
    qasm2.CustomInstruction("c3sx", 0, 4, C3SXGate, builtin=True),
)


def parse_version2(found: Scan, limits: Limits) -> QuantumCircuit:
    """Parse a scanned OpenQASM 2 program; no file is ever looked for.

    The gates that qiskit and other tools write without defining them are known. A gate that the program defines itself
    keeps the program's definition, also under a name of ours (qiskit would put its own gate in its place).
    Raises ProgramError.
    """
    own = check_expansion(found, limits)
    try:
        return qasm2.loads(
            found.source,
            include_path=(),
            custom_instructions=[gate for gate in _GATES if gate.name not in own],
            custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
        )
    except qasm2.QASM2ParseError as error:
        place = _PLACE.match(error.message)
        if place is None:
            raise ProgramError("SYNTAX_ERROR", error.message) from error
        line, column, message = place.groups()
        raise ProgramError("SYNTAX_ERROR", message, int(line), int(column) + 1) from error
    except LIBRARY_FAULTS as error:
        raise ProgramError("SYNTAX_ERROR", f"a gate cannot be made: {fault_message(error)}") from error
