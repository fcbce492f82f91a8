"""Circuits as routing gets them."""

from __future__ import annotations

from services.routing.prediction import circuit
from services.routing.prediction.circuit import Operation


def encoded(qubits: int, gates: list[Operation]) -> bytes:
    """Gates, and a reading of every qubit."""
    return circuit.encode(qubits, qubits, [*gates, *(("measure", (each,), (), (each,)) for each in range(qubits))])


def ghz(qubits: int) -> bytes:
    """All zeros and all ones."""
    return encoded(qubits, [("h", (0,), (), ()), *(("cx", (each - 1, each), (), ()) for each in range(1, qubits))])


def rotations(qubits: int, angle: float) -> bytes:
    """A layer of rotations between two layers of pairs."""
    pairs: list[Operation] = [("cx", (each, each + 1), (), ()) for each in range(qubits - 1)]
    turns: list[Operation] = [("ry", (each,), (angle + each,), ()) for each in range(qubits)]
    return encoded(qubits, [*turns, *pairs, *turns])
