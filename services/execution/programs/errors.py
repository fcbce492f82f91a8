"""Why a program was refused, in words for the person who wrote it."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "SYNTAX_ERROR",
    "UNSUPPORTED",
    "UNSUPPORTED_VERSION",
    "INCLUDE_REFUSED",
    "UNBOUND_INPUT",
    "UNKNOWN_INPUT",
    "WRONG_INPUT",
    "ENDLESS_LOOP",
    "NO_QUBITS",
    "SOURCE_TOO_LONG",
    "TOO_MANY_QUBITS",
    "TOO_MANY_CLBITS",
    "TOO_MANY_OPERATIONS",
    "TOO_DEEP",
]

_LONGEST_MESSAGE = 300


class ProgramError(Exception):
    """A program that cannot be run, with the place in it where that shows.

    `line` and `column` count from 1, or are None where the fault is the program as a whole. `field` names the
    request field that held the program. `message` is at most 300 characters.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        line: int | None = None,
        column: int | None = None,
        field: str = "qasm",
    ) -> None:
        """Keep the parts; the text of the exception adds the place."""
        if len(message) > _LONGEST_MESSAGE:
            message = message[: _LONGEST_MESSAGE - 1] + "…"
        self.reason: Reason = reason
        self.message = message
        self.line = line
        self.column = column
        self.field = field
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(place + message)

    def __reduce__(self) -> tuple[type[ProgramError], tuple[object, ...]]:
        """Pickle by the constructor's arguments, so that the error survives a process boundary."""
        return type(self), (self.reason, self.message, self.line, self.column, self.field)
