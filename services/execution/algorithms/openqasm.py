"""The parameters of circuit.openqasm.v1: parsed, and measured. Imports the parsers, and no engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.wishes import Wishes
from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import NO_INPUTS, parse_openqasm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

LIMITS = Limits()
_SHORT_SOURCE = 16_384
"""Characters of a source whose program is remembered: the same circuit is often run again, with other shots."""
_KNOWN_PROGRAMS = 64


class OpenQasmDescriber:
    """Measures circuits."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuit. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit. Raises ParameterError."""
        program = program_in(parameters)
        return Wishes.of(parameters).routed(program.features), program.tape


def program_in(parameters: Mapping[str, Any]) -> Program:
    """Return the program in `parameters.qasm`, with the inputs in `parameters.inputs`. Raises ParameterError."""
    inputs = Inputs(parameters.get("inputs", {}), "parameters.inputs")
    return parsed(parameters["qasm"], "parameters.qasm", inputs)


def parsed(source: str, path: str, inputs: Inputs | None = None) -> Program:
    """Return the program in the text at `path`, its inputs bound.

    Raises ParameterError, at the input's own path where that is to blame.
    """
    try:
        if len(source) <= _SHORT_SOURCE:
            return _known(source, tuple(inputs.values.items()) if inputs else ())
        return parse_openqasm(source, LIMITS, inputs.values if inputs else NO_INPUTS)
    except ProgramError as error:
        where = inputs.path if inputs and error.field == "inputs" else path
        raise ParameterError(where, error.message, error.reason, error.line, error.column) from error


@dataclass(frozen=True, slots=True)
class Inputs:
    """Values for the inputs that a program declares, and where in the parameters they stand."""

    values: Mapping[str, float]
    path: str


@lru_cache(_KNOWN_PROGRAMS)
def _known(source: str, inputs: tuple[tuple[str, float], ...]) -> Program:
    return parse_openqasm(source, LIMITS, dict(inputs))
