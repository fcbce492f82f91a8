"""The measures of a linear system's circuits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import features_from, tape_from
from services.execution.algorithms.hhl.circuit import readout_circuits
from services.execution.algorithms.hhl.system import system_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qiskit import QuantumCircuit

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 250.0


class HhlDescriber:
    """Measures linear systems."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the longest of the settings' circuits, and their number. Raises ParameterError."""
        circuits = readout_circuits(system_from(parameters))
        return features_from(_longest(circuits), circuits=len(circuits), classical_ms=_CLASSICAL_MS)

    def tape(self, parameters: Mapping[str, Any]) -> Tape:
        """Return the longest of the settings' circuits. Raises ParameterError."""
        return tape_from(_longest(readout_circuits(system_from(parameters))))


def _longest(circuits: Sequence[QuantumCircuit]) -> QuantumCircuit:
    return max(circuits, key=lambda circuit: circuit.size())
