"""The circuits of circuit.sample.v1: parsed, and measured together. Imports the parsers, and no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.primitives.parameter_sets import (
    BoundProgram,
    bound_programs,
    check_runs,
    check_total,
)
from services.execution.algorithms.wishes import Wishes
from services.execution.programs.joint import joint_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape


@dataclass(frozen=True, slots=True)
class NamedCircuit:
    """One circuit to run: the number and name that its result bears."""

    index: int
    name: str
    bound: BoundProgram


class SampleDescriber:
    """Measures circuits together."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of all circuits as of one. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit with the most gates on two qubits. Raises ParameterError."""
        wishes = Wishes.of(parameters)
        programs = [circuit.bound.program for circuit in circuits_from(parameters)]
        features = joint_features([wishes.routed(program.features) for program in programs])
        return features, max(programs, key=lambda program: program.features.two_qubit_gate_count).tape


def circuits_from(parameters: Mapping[str, Any]) -> list[NamedCircuit]:
    """Return the circuits in `parameters.circuits`, each as often as it has sets of inputs.

    Raises ParameterError.
    """
    path = "parameters.circuits"
    asked = parameters["circuits"]
    check_runs(sum(len(circuit.get("inputs") or [{}]) for circuit in asked), path)
    found = [
        NamedCircuit(index, circuit.get("name", f"circuit {index}"), bound)
        for index, circuit in enumerate(asked)
        for bound in bound_programs(circuit, f"{path}[{index}]")
    ]
    check_total([circuit.bound.program for circuit in found], path)
    return found
