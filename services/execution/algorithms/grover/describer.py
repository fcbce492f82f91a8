"""The measures of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import features_from
from services.execution.algorithms.grover.circuit import search_circuit
from services.execution.algorithms.grover.problem import iterations_from, problem_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features

_CLASSICAL_MS = 2.0


class GroverDescriber:
    """Measures searches."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the search's circuit. Raises ParameterError."""
        problem = problem_from(parameters)
        circuit = search_circuit(problem, iterations_from(parameters, problem))
        return features_from(circuit, classical_ms=_CLASSICAL_MS)
