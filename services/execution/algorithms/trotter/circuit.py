"""The product formula as gates, and what the job takes. Imports no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qiskit import QuantumCircuit

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.trotter.model import Model, model_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

COMPARED_SPINS = 12
"""Up to here the exact evolution is computed too."""
_NANOSECONDS = 1_000.0
"""Per amplitude and recorded time of the exact evolution, for each unit of the norm of H times time; measured."""


class TrotterDescriber:
    """Measures the last circuit of a job."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the longest circuit, with how many there are. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and that circuit. Raises ParameterError."""
        model = model_of(parameters)
        classical_ms = 5.0
        if model.spins <= COMPARED_SPINS:
            fields = abs(model.transverse) + abs(model.longitudinal)
            norm = model.time * (abs(model.coupling) * len(model.edges) + fields * model.spins)
            work = (norm + model.points * (20 + model.steps)) * (1 << model.spins)
            classical_ms += work * _NANOSECONDS / 1e6
        return described_from(trotter_circuit(model, model.points), circuits=model.points, classical_ms=classical_ms)


def trotter_circuit(model: Model, point: int) -> QuantumCircuit:
    """Return the circuit up to a recorded time, counted from 1, every spin measured.

    Order 1 is exp(-i dt H_x) exp(-i dt H_z) a step, the diagonal part first. Order 2 is exp(-i dt/2 H_x) on either side
    of exp(-i dt H_z), where the halves of neighbouring steps are one gate.
    """
    circuit = QuantumCircuit(model.spins)
    for spin in range(model.spins):
        if model.start >> spin & 1:
            circuit.x(spin)
    turn = -2 * model.transverse * model.step
    steps = point * model.steps
    if model.order == 2 and turn:  # noqa: PLR2004 - the order of the formula
        circuit.rx(turn / 2, range(model.spins))
    for step in range(1, steps + 1):
        for first, second in model.edges:
            circuit.rzz(-2 * model.coupling * model.step, first, second)
        if model.longitudinal:
            circuit.rz(-2 * model.longitudinal * model.step, range(model.spins))
        if turn:
            half = model.order == 2 and step == steps  # noqa: PLR2004 - the order of the formula
            circuit.rx(turn / 2 if half else turn, range(model.spins))
    circuit.measure_all()
    return circuit
