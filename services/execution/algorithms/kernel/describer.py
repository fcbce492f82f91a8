"""The measures of a classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.kernel.feature_map import feature_map_from
from services.execution.algorithms.kernel.points import points_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit import QuantumCircuit

    from services.execution.algorithms.kernel.points import Points
    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 100.0


class KernelDescriber:
    """Measures classifications."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of one pair's circuit and the number of pairs. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and that circuit. Raises ParameterError."""
        points = points_from(parameters)
        return described_from(_circuit(parameters, points), circuits=points.pairs, classical_ms=_CLASSICAL_MS)


def _circuit(parameters: Mapping[str, Any], points: Points) -> QuantumCircuit:
    (circuit,) = feature_map_from(parameters).overlaps(points.train, [(0, 1)])
    return circuit
