"""The `input` declarations of OpenQASM 3: the value that was sent for one, as its type has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openqasm3 import ast

from services.execution.programs.scope import refuse

if TYPE_CHECKING:
    from services.execution.programs.constants import Number


def input_value(node: ast.IODeclaration, sent: float) -> Number:
    """Return the value of an input of type float, angle, int, uint or bool; the width of a type is not looked at.

    Raises ProgramError where the type has no such value.
    """
    name, kind = node.identifier.name, node.type
    if isinstance(kind, ast.FloatType | ast.AngleType):
        return float(sent)
    if not isinstance(kind, ast.IntType | ast.UintType | ast.BoolType):
        word = type(kind).__name__.removesuffix("Type").lower()
        refuse(node, "UNSUPPORTED", f"input {name}: values of type {word} are not supported; use float, angle or int")
    if not float(sent).is_integer():
        refuse(node, "WRONG_INPUT", f"input {name}: {sent} is no whole number")
    if isinstance(kind, ast.BoolType):
        if sent not in {0, 1}:
            refuse(node, "WRONG_INPUT", f"input {name}: a bool is 0 or 1, not {sent:g}")
        return bool(sent)
    if isinstance(kind, ast.UintType) and sent < 0:
        refuse(node, "WRONG_INPUT", f"input {name}: an unsigned integer is not negative")
    return int(sent)
