"""The measures of a linear system's circuits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.hhl.circuit import readout_circuits
from services.execution.algorithms.hhl.system import system_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 250.0


class HhlDescriber:
    """Measures linear systems."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the longest of the settings' circuits, and their number. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and that circuit. Raises ParameterError."""
        circuits = readout_circuits(system_from(parameters))
        longest = max(circuits, key=lambda circuit: circuit.size())
        return described_from(longest, circuits=len(circuits), classical_ms=_CLASSICAL_MS)
