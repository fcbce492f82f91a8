"""The parameters of both primitives: programs, each with the sets of inputs that it is run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.openqasm import LIMITS, Inputs, parsed
from services.execution.programs.circuit import unmeasured

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from services.execution.programs.program import Program

MOST_RUNS = 64
"""Circuits of one job, every set of inputs counted."""


@dataclass(frozen=True)
class BoundProgram:
    """A program with one set of its inputs."""

    program: Program
    inputs: Mapping[str, float]
    input_set: int

    @cached_property
    def bare(self) -> QuantumCircuit:
        """Return its circuit without measurements."""
        return unmeasured(self.program.circuit)


def bound_programs(circuit: Mapping[str, Any], path: str) -> list[BoundProgram]:
    """Return the program of a circuit (`qasm`, `inputs`) for each of its sets of inputs, or once where it has none.

    `path` names the circuit. Raises ParameterError.
    """
    sets: Sequence[Mapping[str, float]] = circuit.get("inputs") or [{}]
    return [
        BoundProgram(parsed(circuit["qasm"], f"{path}.qasm", Inputs(values, f"{path}.inputs[{index}]")), values, index)
        for index, values in enumerate(sets)
    ]


def check_runs(count: int, path: str) -> None:
    """Refuse more circuits than a job may run, before any is parsed. Raises ParameterError."""
    if count > MOST_RUNS:
        raise ParameterError(path, f"are {count} circuits, every set of inputs counted; at most {MOST_RUNS} are run")


def check_total(programs: Sequence[Program], path: str) -> None:
    """Refuse circuits that together are longer than one circuit may be. Raises ParameterError."""
    total = sum(program.features.gate_count + program.features.measurement_count for program in programs)
    if total > LIMITS.operations:
        message = f"have {total} operations together, every set of inputs counted; at most {LIMITS.operations} are run"
        raise ParameterError(path, message, "TOO_MANY_OPERATIONS")
