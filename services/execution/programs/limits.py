"""How large a program may be before it is refused unread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that every OpenQASM program must stay within.

    `source_bytes` and `source_bytes_v3` bound the UTF-8 text (version 3 is parsed in Python, about 40 µs a byte, and
    so gets less). `operations` counts gates, measurements and resets after every gate definition, broadcast and
    counted loop is expanded, and the calls of gate definitions on the way. `nesting` bounds brackets, blocks, and gate
    definitions that use one another.
    """

    source_bytes: int = 1_048_576
    source_bytes_v3: int = 65_536
    qubits: int = 256
    clbits: int = 256
    operations: int = 100_000
    nesting: int = 64
