"""The circuits that engines are measured on: pinned parameters, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qiskit import QuantumCircuit


@dataclass(frozen=True)
class Case:
    """One circuit of the set.

    `held_out` circuits are never fitted to: whole families are kept back, so that what is said of them holds for
    circuits that nobody has measured.
    """

    name: str
    family: str
    make: Callable[[], QuantumCircuit]
    shots: int = 1024
    held_out: bool = False
    quick: bool = False
    """Whether it is in the short set."""
