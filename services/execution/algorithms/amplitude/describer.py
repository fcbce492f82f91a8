"""The measures of pricing an option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.amplitude.circuit import estimation_circuits, powers_of
from services.execution.algorithms.amplitude.option import grid_from
from services.execution.algorithms.experiment import described_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit import QuantumCircuit

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 60.0


class OptionDescriber:
    """Measures the pricing of options."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the longest circuit, one of as many as there are powers. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and that circuit. Raises ParameterError."""
        count = len(powers_of(int(parameters["amplifications"])))
        return described_from(_longest(parameters), circuits=count, classical_ms=_CLASSICAL_MS)


def _longest(parameters: Mapping[str, Any]) -> QuantumCircuit:
    powers = powers_of(int(parameters["amplifications"]))
    (longest,) = estimation_circuits(grid_from(parameters), powers[-1:])
    return longest
