"""Circuits of benchmarks as OpenQASM 2, gate by gate. Pure text: nothing here simulates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

_HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{width}];\ncreg c[{width}];\n'


@dataclass(frozen=True, slots=True)
class Circuit:
    """A finished circuit."""

    openqasm: str
    qubit_count: int
    depth: int
    """With the measurement."""
    two_qubit_gate_count: int


class Builder:
    """Adds gates to a circuit of `width` qubits that begins in 0."""

    def __init__(self, width: int) -> None:
        """Begin with nothing but the register."""
        self.width = width
        self._lines: list[str] = []
        self._levels = [0] * width
        self._pairs = 0

    def gate(self, name: str, *qubits: int, angles: tuple[float, ...] = ()) -> None:
        """Add a gate of qelib1."""
        arguments = f"({','.join(f'{angle:.12f}' for angle in angles)})" if angles else ""
        self._lines.append(f"{name}{arguments} {','.join(f'q[{qubit}]' for qubit in qubits)};")
        level = 1 + max(self._levels[qubit] for qubit in qubits)
        for qubit in qubits:
            self._levels[qubit] = level
        self._pairs += len(qubits) > 1

    def each(self, name: str, *angles: float) -> None:
        """Add a gate to every qubit."""
        for qubit in range(self.width):
            self.gate(name, qubit, angles=angles)

    def random_rotation(self, qubit: int, random: Random) -> None:
        """Turn a qubit by an element of SU(2), drawn uniformly (Haar)."""
        theta = 2 * math.asin(math.sqrt(random.random()))
        self.gate("u3", qubit, angles=(theta, random.uniform(0, 2 * math.pi), random.uniform(0, 2 * math.pi)))

    def controlled_phase(self, angle: float, control: int, target: int) -> None:
        """Add a phase where both are 1."""
        self.gate("cu1", control, target, angles=(angle,))

    def measured(self) -> Circuit:
        """The circuit, with every qubit measured at its end."""
        text = _HEAD.format(width=self.width) + "\n".join(self._lines) + "\nmeasure q -> c;\n"
        return Circuit(text, self.width, 1 + max(self._levels), self._pairs)
