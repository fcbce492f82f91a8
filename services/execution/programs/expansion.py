"""What an OpenQASM 2 program costs once expanded, counted without expanding it.

A gate must be defined before it is used, so one pass in source order knows the cost of every gate it meets. A kilobyte
of gates that each call the last one twice means 2^40 operations: the sum is kept at a ceiling just past the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.execution.programs.limits import branch_cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.execution.programs.limits import Limits
    from services.execution.programs.prescan import Scan, Token

_DECLARATIONS = frozenset({"OPENQASM", "include", "creg", "opaque", "barrier"})


def check_expansion(found: Scan, limits: Limits) -> frozenset[str]:
    """Refuse a program whose expansion exceeds the limits; return the names of the gates that it defines itself.

    Raises ProgramError.
    """
    ceiling = limits.operations + 1
    registers: dict[str, int] = {}
    gates: dict[str, tuple[int, int]] = {}
    total = 0
    for statement in _statements(found.tokens):
        head = statement[0]
        if head.kind == "call":
            if head.text != "barrier":
                total += gates[head.text][0] if head.text in gates else 1
        elif head.text == "gate":
            cost, depth = _definition(statement, gates)
            if depth > limits.nesting:
                message = f"gate definitions use one another deeper than {limits.nesting}"
                raise found.error("TOO_DEEP", message, head)
            gates[_name(statement)] = (min(cost, ceiling), depth)
        elif head.text in {"qreg", "creg"}:
            registers[_name(statement)] = _size(statement)
        elif head.text not in _DECLARATIONS:
            total += _call_cost(statement, gates, registers)
        if total > limits.operations:
            message = f"the program means more than {limits.operations} operations once its gates are expanded"
            raise found.error("TOO_MANY_OPERATIONS", message, head)
    return frozenset(gates)


def _statements(tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...]]:
    """Yield statements without their `;`, a gate definition with its whole body as one."""
    start, depth = 0, 0
    for index, token in enumerate(tokens):
        if token.text == "{":
            depth += 1
        closes = token.text == "}" and depth > 0
        depth -= closes
        whole = closes or token.kind == "call"
        if depth == 0 and (whole or token.text == ";"):
            end = index + 1 if whole else index
            if end > start:
                yield tokens[start:end]
            start = index + 1


def _name(statement: tuple[Token, ...]) -> str:
    return statement[1].text if len(statement) > 1 else ""


def _size(statement: tuple[Token, ...]) -> int:
    numbers = [token.text for token in statement[2:] if token.kind == "number"]
    return int(numbers[0]) if numbers and numbers[0].isdecimal() else 1


def _definition(statement: tuple[Token, ...], gates: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Return the expanded cost and the nesting of a `gate … { … }`."""
    opening = next((i for i, token in enumerate(statement) if token.text == "{"), len(statement))
    cost, depth = 1, 0  # the call counts too: an empty gate can be called 2^40 times
    for call in _statements(statement[opening + 1 : -1]):
        inner_cost, inner_depth = gates.get(call[0].text, (1, 0))
        cost += inner_cost
        depth = max(depth, inner_depth)
    return cost, depth + 1


def _call_cost(statement: tuple[Token, ...], gates: dict[str, tuple[int, int]], registers: dict[str, int]) -> int:
    """Return the cost of a call; a register without an index is as many calls as it has bits."""
    branch = 0
    if statement[0].text == "if":
        branch = branch_cost(max((registers.get(token.text, 0) for token in statement[2:3]), default=0))
        closing = next((i for i, token in enumerate(statement) if token.text == ")"), 0)
        statement = statement[closing + 1 :]
        if not statement:
            return branch
    width = 1
    for token, following in zip(statement, [*statement[1:], None], strict=True):
        if token.text in registers and (following is None or following.text != "["):
            width = max(width, registers[token.text])
    return width * (branch + gates.get(statement[0].text, (1, 0))[0])
