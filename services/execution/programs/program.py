"""A parsed program: a flat circuit ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from services.execution.programs.layout import Layout

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

Version = Literal["2.0", "3.0"]


@dataclass(frozen=True)
class Program:
    """A circuit of standard gates, measurements, resets and control flow; nothing in it is left to expand.

    `tape` is the circuit in plain tuples, for whatever reads every operation of it.
    `registers` are the classical registers (name, size) in the order of the circuit's bits, which is the order in
    which counts are written, last register leftmost as in Qiskit. A lone bit is a register of size 1.
    `notes` tell the owner what was added, for instance a missing measurement.
    """

    tape: Tape
    features: Features
    version: Version
    registers: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    made: QuantumCircuit | Layout
    """What `circuit` is, or is made by."""

    @cached_property
    def circuit(self) -> QuantumCircuit:
        """The circuit for whatever takes qiskit's."""
        return self.made.circuit_of(self.tape) if isinstance(self.made, Layout) else self.made
