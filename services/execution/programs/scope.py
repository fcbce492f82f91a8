"""Names in an OpenQASM 3 program at one point of it, and the folding of expressions and operands there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from openqasm3 import ast

from services.execution.programs.constants import BUILTIN, NotConstantError, Number, evaluate, literal
from services.execution.programs.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.execution.programs.errors import Reason

Operand = ast.Identifier | ast.IndexedIdentifier


def refuse(node: ast.QASMNode, reason: Reason, message: str) -> NoReturn:
    """Raise ProgramError at a node."""
    span = node.span
    if span is None:
        raise ProgramError(reason, message)
    raise ProgramError(reason, message, span.start_line, span.start_column + 1)


@dataclass(frozen=True, slots=True)
class Scope:
    """The constants, the renamed gate parameters and the registers (None: a single bit) that a statement sees."""

    known: Mapping[str, Number] = field(default_factory=lambda: dict(BUILTIN))
    renamed: Mapping[str, str] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)

    def with_constant(self, name: str, value: Number) -> Scope:
        """Return the scope with one more constant."""
        return replace(self, known={**self.known, name: value})

    def inside_gate(self, parameters: Mapping[str, str], qubits: Sequence[str]) -> Scope:
        """Return the scope of a gate's body: constants it does not shadow, its parameters and its qubits."""
        hidden = {*parameters, *qubits}
        known = {name: value for name, value in self.known.items() if name not in hidden}
        return Scope(known, parameters, dict.fromkeys(qubits))

    def value(self, node: ast.Expression) -> Number | None:
        """Return the value of a constant expression, None if it is not constant. Raises ProgramError."""
        try:
            return evaluate(node, self.known)
        except NotConstantError:
            return None
        except (ArithmeticError, ValueError) as error:
            refuse(node, "UNSUPPORTED", f"this expression has no value: {error}")

    def integer(self, node: ast.Expression, what: str) -> int:
        """Return the value of a constant integer expression. Raises ProgramError."""
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int):
            refuse(node, "UNSUPPORTED", f"{what} must be a constant integer")
        return value

    def fold(self, node: ast.Expression) -> ast.Expression:
        """Return the expression with every constant part replaced by its value and parameters renamed."""
        value = self.value(node)
        folded: ast.Expression
        if value is not None:
            folded = literal(value)
        elif isinstance(node, ast.Identifier):
            folded = ast.Identifier(self.renamed.get(node.name, node.name))
        elif isinstance(node, ast.UnaryExpression):
            folded = ast.UnaryExpression(node.op, self.fold(node.expression))
        elif isinstance(node, ast.BinaryExpression):
            folded = ast.BinaryExpression(node.op, self.fold(node.lhs), self.fold(node.rhs))
        elif isinstance(node, ast.Concatenation):
            folded = ast.Concatenation(self.fold(node.lhs), self.fold(node.rhs))
        elif isinstance(node, ast.IndexExpression):
            size = self.sizes.get(node.collection.name) if isinstance(node.collection, ast.Identifier) else None
            folded = ast.IndexExpression(node.collection, self._index(node.index, size))
        else:
            return node
        folded.span = node.span
        return folded

    def operand(self, node: Operand) -> Operand:
        """Return a qubit or bit operand with its indices folded and checked against the register."""
        if isinstance(node, ast.Identifier):
            return node
        indices = [self._index(index, self.sizes.get(node.name.name)) for index in node.indices]
        folded = ast.IndexedIdentifier(node.name, indices)
        folded.span = node.span
        return folded

    def width(self, node: ast.QASMNode) -> int:
        """Return a bound on the number of bits that an operand names."""
        if isinstance(node, ast.Identifier):
            return self.sizes.get(node.name) or 1
        if isinstance(node, ast.IndexedIdentifier) and not self.is_single(node):
            return self.sizes.get(node.name.name) or 1
        return 1

    def is_single(self, node: ast.QASMNode) -> bool:
        """Tell whether a folded operand names one bit rather than a register or a slice."""
        if isinstance(node, ast.Identifier):
            return node.name in self.sizes and self.sizes[node.name] is None
        if isinstance(node, ast.IndexedIdentifier):
            return len(node.indices) == 1 and _is_one_index(node.indices[0])
        return isinstance(node, ast.IndexExpression) and _is_one_index(node.index)

    def _index(self, index: ast.IndexElement, size: int | None) -> ast.IndexElement:
        if isinstance(index, ast.DiscreteSet):
            folded = ast.DiscreteSet([self._position(value, size) for value in index.values])
            folded.span = index.span
            return folded
        return [
            self.range(item) if isinstance(item, ast.RangeDefinition) else self._position(item, size) for item in index
        ]

    def range(self, node: ast.RangeDefinition) -> ast.RangeDefinition:
        """Return a range with its ends folded."""
        start, end, step = (None if part is None else self.fold(part) for part in (node.start, node.end, node.step))
        folded = ast.RangeDefinition(start, end, step)
        folded.span = node.span
        return folded

    def _position(self, node: ast.Expression, size: int | None) -> ast.Expression:
        position = self.integer(node, "an index")
        if size is not None and not -size <= position < size:
            refuse(node, "SYNTAX_ERROR", f"index {position} is out of range for a register of size {size}")
        folded = literal(position)
        folded.span = node.span
        return folded


def _is_one_index(index: ast.IndexElement) -> bool:
    return isinstance(index, list) and len(index) == 1 and isinstance(index[0], ast.IntegerLiteral)
