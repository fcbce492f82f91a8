"""OpenQASM 3 by the reference parser and qiskit's importer, with a lowering of our own between them."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import openqasm3
import qiskit_qasm3_import
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError

from services.execution.programs.errors import ProgramError
from services.execution.programs.faults import LIBRARY_FAULTS, fault_message
from services.execution.programs.lowering import lower

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit import QuantumCircuit

    from services.execution.programs.limits import Limits
    from services.execution.programs.prescan import Scan

_PARSER_PLACE = re.compile(r"^L(\d+):C(\d+): (.*)$", re.DOTALL)
_IMPORTER_PLACE = re.compile(r"^(\d+),(\d+): (.*)$", re.DOTALL)


def parse_version3(found: Scan, limits: Limits, inputs: Mapping[str, float]) -> QuantumCircuit:
    """Parse a scanned OpenQASM 3 program, with values for its inputs. Raises ProgramError."""
    statements = _Followed(lower(_parse(found.source), limits, inputs))
    try:
        return qiskit_qasm3_import.convert(ast.Program(statements=statements, version="3.0"))
    except qiskit_qasm3_import.ConversionError as error:
        place = _IMPORTER_PLACE.match(error.message)
        if place is None:
            raise statements.error(error.message) from error
        line, column, message = place.groups()
        raise ProgramError("UNSUPPORTED", message, int(line), int(column) + 1) from error
    except LIBRARY_FAULTS as error:
        raise statements.error(fault_message(error)) from error


class _Followed(list["ast.Statement | ast.Pragma"]):
    """Statements that remember which one was handed out last, to place an error that has no place."""

    def __iter__(self) -> Iterator[ast.Statement | ast.Pragma]:
        for statement in super().__iter__():
            self._last = statement
            yield statement

    def error(self, message: str) -> ProgramError:
        """Return a refusal at the statement under way."""
        span = self._last.span
        if span is None:
            return ProgramError("UNSUPPORTED", message)
        return ProgramError("UNSUPPORTED", message, span.start_line, span.start_column + 1)


@lru_cache(maxsize=1)
def _parse(source: str) -> ast.Program:
    """Parse a text; the last one is remembered, since it may come again with other inputs. Lowering changes no node."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return openqasm3.parse(source)
    except QASM3ParsingError as error:
        raise _syntax_error(error) from error
    except LIBRARY_FAULTS as error:
        raise ProgramError("SYNTAX_ERROR", f"the program is not OpenQASM 3: {error}") from error


def _syntax_error(error: QASM3ParsingError) -> ProgramError:
    """Find the place in the parser's message, or in the ANTLR exception that it hides."""
    place = _PARSER_PLACE.match(str(error))
    if place is not None:
        line, column, message = place.groups()
        return ProgramError("SYNTAX_ERROR", message, int(line), int(column) + 1)
    cause: BaseException | None = error.__cause__
    if cause is not None and cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    token = getattr(cause, "offendingToken", None)
    if token is None:
        return ProgramError("SYNTAX_ERROR", str(error) or "the program is not OpenQASM 3")
    text = "the end of the program" if token.text == "<EOF>" else repr(token.text[:40])
    return ProgramError("SYNTAX_ERROR", f"unexpected {text}", token.line, token.column + 1)
