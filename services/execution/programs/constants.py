"""Constant expressions of OpenQASM 3, evaluated with bounds.

The importer knows only + - * / over literals, and would work out `2**(10**9)` if it knew powers: here every integer
stays within 64 bits.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from openqasm3 import ast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Number = int | float | bool

BUILTIN: Mapping[str, Number] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "ceiling": math.ceil,
    "floor": math.floor,
    "mod": math.fmod,
    "popcount": int.bit_count,
}
_BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&&": lambda left, right: bool(left) and bool(right),
    "||": lambda left, right: bool(left) or bool(right),
}
_WIDEST_SHIFT = 62
_LARGEST = 2**63 - 1


class NotConstantError(Exception):
    """The expression depends on something that is not known before the program runs."""


def evaluate(node: ast.Expression, known: Mapping[str, Number]) -> Number:
    """Return the value of an expression over literals, builtins and `known` names.

    Raises NotConstantError, or ArithmeticError and ValueError where the arithmetic has no bounded answer.
    """
    value = _evaluate(node, known)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise OverflowError("an integer constant is larger than 64 bits")
    return value


def literal(value: Number) -> ast.Expression:
    """Return the syntax tree of a value."""
    if isinstance(value, bool):
        return ast.BooleanLiteral(value)
    return ast.IntegerLiteral(value) if isinstance(value, int) else ast.FloatLiteral(value)


def _evaluate(node: ast.Expression, known: Mapping[str, Number]) -> Number:
    match node:
        case ast.IntegerLiteral() | ast.FloatLiteral() | ast.BooleanLiteral() | ast.BitstringLiteral():
            return node.value
        case ast.Identifier():
            if node.name in known:
                return known[node.name]
            raise NotConstantError
        case ast.UnaryExpression():
            value = evaluate(node.expression, known)
            if node.op.name == "-":
                return -value
            if node.op.name == "!":
                return not value
        case ast.BinaryExpression():
            return _binary(node.op.name, evaluate(node.lhs, known), evaluate(node.rhs, known))
        case ast.FunctionCall() if node.name.name in _FUNCTIONS:
            try:
                return _FUNCTIONS[node.name.name](*(evaluate(argument, known) for argument in node.arguments))
            except TypeError as error:
                raise ValueError(f"function {node.name.name} got arguments that it does not take") from error
    raise NotConstantError


def _binary(name: str, left: Number, right: Number) -> Number:
    if name in _BINARY:
        return _BINARY[name](left, right)
    integers = isinstance(left, int) and isinstance(right, int)
    if name == "/":
        return left // right if integers else left / right
    if name == "**":
        if integers and right >= 0 and abs(left) > 1 and right * math.log2(abs(left)) > _WIDEST_SHIFT + 1:
            raise OverflowError("a power is larger than 64 bits")
        return float(left) ** right if not integers or right < 0 else left**right
    if name in {"<<", ">>"} and integers and 0 <= right <= _WIDEST_SHIFT:
        return int(left) << int(right) if name == "<<" else int(left) >> int(right)
    raise ValueError(f"operator {name} cannot be applied to these constants")
