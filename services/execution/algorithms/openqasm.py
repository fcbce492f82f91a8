"""The parameters of circuit.openqasm.v1: parsed, and measured. Imports the parsers, and no engine."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import ParameterError
from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.program import Program

_LIMITS = Limits()
_SHORT_SOURCE = 16_384
"""Characters of a source whose program is remembered: the same circuit is often run again, with other shots."""
_KNOWN_PROGRAMS = 64


class OpenQasmDescriber:
    """Measures circuits."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuit.

        Raises ParameterError at `parameters.qasm`.
        """
        return parsed(parameters).features


def parsed(parameters: Mapping[str, Any]) -> Program:
    """Return the program in `parameters.qasm`.

    Raises ParameterError.
    """
    try:
        source = parameters["qasm"]
        return _known(source) if len(source) <= _SHORT_SOURCE else parse_openqasm(source, _LIMITS)
    except ProgramError as error:
        path = f"parameters.{error.field}"
        raise ParameterError(path, error.message, error.reason, error.line, error.column) from error


@lru_cache(_KNOWN_PROGRAMS)
def _known(source: str) -> Program:
    return parse_openqasm(source, _LIMITS)
