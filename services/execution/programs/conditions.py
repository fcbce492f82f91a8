"""Conditions of OpenQASM 3 in the only forms that the importer knows: bit == bool and register == integer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openqasm3 import ast

from services.execution.programs.inspection import names_in
from services.execution.programs.limits import branch_cost
from services.execution.programs.scope import refuse

if TYPE_CHECKING:
    from services.execution.programs.scope import Scope


@dataclass(frozen=True, slots=True)
class Condition:
    """What a branch tests: a test for the importer, True where the written condition is its opposite.

    `test` is a bool where the condition is constant.
    """

    test: ast.Expression | bool
    negated: bool = False

    def cost(self, scope: Scope) -> int:
        """How many operations its branch counts for, besides those in it."""
        if isinstance(self.test, bool) or scope.is_single(self.test):
            return branch_cost(1)
        return branch_cost(max((scope.sizes.get(name) or 1 for name in names_in(self.test)), default=1))


def normalise(node: ast.Expression, scope: Scope) -> Condition:
    """Return a condition in the importer's form. Raises ProgramError where there is none."""
    value = scope.value(node)
    if value is not None:
        return Condition(bool(value))
    if isinstance(node, ast.UnaryExpression) and node.op.name in {"!", "~"}:
        inner = normalise(node.expression, scope)
        return Condition(inner.test, not inner.negated)
    if isinstance(node, ast.BinaryExpression) and node.op.name in {"==", "!="}:
        inner = _equality(node, scope)
        return inner if node.op.name == "==" else Condition(inner.test, not inner.negated)
    folded = scope.fold(node)
    if not scope.is_single(folded):
        refuse(node, "UNSUPPORTED", "a condition must compare a bit or a register with a constant")
    return Condition(folded)


def _equality(node: ast.BinaryExpression, scope: Scope) -> Condition:
    left, right = node.lhs, node.rhs
    if scope.value(left) is not None:
        left, right = right, left
    expected = scope.value(right)
    if expected is None or isinstance(expected, float):
        refuse(node, "UNSUPPORTED", "a condition must compare a bit or a register with a constant integer")
    bits = scope.fold(left)
    if scope.is_single(bits):
        if expected not in (0, 1):
            return Condition(test=False)
        return Condition(bits, negated=not expected)
    test = ast.BinaryExpression(ast.BinaryOperator["=="], bits, ast.IntegerLiteral(int(expected)))
    test.span = node.span
    return Condition(test)
