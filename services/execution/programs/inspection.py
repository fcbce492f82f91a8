"""What a block of OpenQASM 3 holds, found without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openqasm3 import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def names_in(node: object) -> Iterator[str]:
    """Yield the identifiers anywhere below a node."""
    if isinstance(node, ast.Identifier):
        yield node.name
    elif isinstance(node, list | tuple):
        for item in node:
            yield from names_in(item)
    elif isinstance(node, ast.QASMNode):
        for value in vars(node).values():
            yield from names_in(value)


def leaves_early(block: Sequence[ast.Statement]) -> bool:
    """Tell whether a break or continue for this loop is in its body."""
    for statement in block:
        if isinstance(statement, ast.BreakStatement | ast.ContinueStatement):
            return True
        if isinstance(statement, ast.BranchingStatement) and (
            leaves_early(statement.if_block) or leaves_early(statement.else_block)
        ):
            return True
    return False


def targets(block: Sequence[ast.Statement]) -> list[object]:
    """Return what the measurements anywhere in a block are assigned to."""
    found: list[object] = []
    for statement in block:
        if isinstance(statement, ast.QuantumMeasurementStatement):
            found.append(statement.target)
        elif isinstance(statement, ast.BranchingStatement):
            found += targets(statement.if_block) + targets(statement.else_block)
        elif isinstance(statement, ast.WhileLoop | ast.ForInLoop):
            found += targets(statement.block)
        elif isinstance(statement, ast.Box):
            found += targets(statement.body)
    return found
