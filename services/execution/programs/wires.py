"""The registers of a plain program, and what its operands name."""

from __future__ import annotations

from dataclasses import dataclass, field

Registers = tuple[tuple[str, int | None], ...]
"""Names and sizes, in order. The size of a lone bit, which is in no register, is None."""


@dataclass(slots=True)
class Wires:
    """The registers of one kind, of qubits or of classical bits, numbered through."""

    declared: list[tuple[str, int | None]] = field(default_factory=list)
    registers: dict[str, range] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    """Single bits, by what they are called in operands."""
    count: int = 0

    def __contains__(self, name: str) -> bool:
        """Whether a register or a lone bit has this name."""
        return name in self.registers or name in self.entries

    def declare(self, name: str, size: int | None) -> None:
        """Add a register, or a lone bit where it has no size."""
        self.declared.append((name, size))
        if size is None:
            self.entries[name] = self.count
        else:
            self.registers[name] = range(self.count, self.count + size)
            self.entries.update((f"{name}[{place}]", self.count + place) for place in range(size))
        self.count += size or 1

    def places(self, operands: str) -> tuple[int, ...]:
        """Return all that a list of operands names; nothing where one of them is not known as it is written."""
        found: list[int] = []
        for operand in operands.split(","):
            name = operand.strip(" ")
            if name in self.entries:
                found.append(self.entries[name])
            elif name in self.registers:
                found += self.registers[name]
            else:
                return ()
        return tuple(found)
