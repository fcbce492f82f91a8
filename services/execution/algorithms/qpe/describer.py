"""The measures of a phase estimation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.qpe.problem import problem_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 20.0


class QpeDescriber:
    """Measures phase estimations."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuit. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit. Raises ParameterError."""
        return described_from(problem_from(parameters).circuit(), classical_ms=_CLASSICAL_MS)
