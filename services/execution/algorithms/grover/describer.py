"""The measures of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.grover.circuit import search_circuit
from services.execution.algorithms.grover.problem import iterations_from, problem_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit import QuantumCircuit

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 2.0


class GroverDescriber:
    """Measures searches."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the search's circuit. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit. Raises ParameterError."""
        return described_from(_circuit(parameters), classical_ms=_CLASSICAL_MS)


def _circuit(parameters: Mapping[str, Any]) -> QuantumCircuit:
    problem = problem_from(parameters)
    return search_circuit(problem, iterations_from(parameters, problem))
