"""The measures of a classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import features_from
from services.execution.algorithms.kernel.feature_map import feature_map_from
from services.execution.algorithms.kernel.points import points_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features

_CLASSICAL_MS = 100.0


class KernelDescriber:
    """Measures classifications."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of one pair's circuit and the number of pairs. Raises ParameterError."""
        points = points_from(parameters)
        (circuit,) = feature_map_from(parameters).overlaps(points.train, [(0, 1)])
        return features_from(circuit, circuits=points.pairs, classical_ms=_CLASSICAL_MS)
