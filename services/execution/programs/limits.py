"""How large a program may be before it is refused unread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that every OpenQASM program must stay within.

    `source_bytes` bounds the UTF-8 text, `source_bytes_v3` one of version 3 that is not plain (see `plain`): it is
    parsed in Python, about 40 µs a byte, and so gets less. `operations` counts gates, measurements and resets after
    every gate definition, broadcast and counted loop is expanded, the calls of gate definitions on the way, and
    branches, a wide condition for several (see `branch_cost`). `nesting` bounds brackets, blocks, and gate definitions
    that use one another. Stabilizers, decision
    diagrams and matrix product states run circuits of the full width; what one of the engines can take is for the cost
    of the circuit to say.
    """

    source_bytes: int = 1_048_576
    source_bytes_v3: int = 65_536
    qubits: int = 1_024
    clbits: int = 1_024
    operations: int = 100_000
    nesting: int = 64


def branch_cost(condition_bits: int) -> int:
    """How many operations a branch counts for: qiskit keeps every bit of its condition, at about 5 µs a bit."""
    return 1 + condition_bits // 8
