"""How a job reads energies out of its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import AlgorithmResult, ParameterError
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.vqe.estimate import Estimate, on_device, simulated
from services.execution.algorithms.vqe.fermions import hamiltonian
from services.execution.algorithms.vqe.measurement import measurement_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.vqe.solution import Solution
    from services.execution.engines.device import Device

_NOT_EXACT = 'cannot be "exact" on this device, which has noise: choose "sampled", or a simulator without noise'


class Reader:
    """Reads the energy of one solution after another, each with all the shots of the job."""

    def __init__(self, device: Device, *, sampled: bool, shots: int, seed: int) -> None:
        """Read on `device`. Raises ParameterError for an exact reading where there are no amplitudes."""
        if not (sampled or device.ideal):
            raise ParameterError("parameters.estimator", _NOT_EXACT)
        self._device, self._sampled, self._shots, self._seed = device, sampled, shots, seed
        self._experiment = Experiment(device, shots=shots, seed=seed, purpose="vqe")
        self._read: list[Estimate] = []

    def read(self, solution: Solution) -> Estimate:
        """Return the energy: without noise from the amplitudes, otherwise one circuit for each setting.

        Raises EngineError, and AlgorithmError where the shots are too few.
        """
        found = self._estimate(solution)
        self._read.append(found)
        return found

    def _estimate(self, solution: Solution) -> Estimate:
        if not self._sampled:
            return Estimate(solution.energy_of(self._device.statevector(solution.circuit)), None)
        measurement = measurement_of(hamiltonian(solution.space), solution.state)
        if not self._device.ideal:
            return on_device(measurement, solution.circuit, self._experiment, shots=self._shots)
        state = self._device.statevector(solution.circuit)
        purpose = f"vqe:{len(self._read)}"
        return simulated(measurement, state, shots=self._shots, seed=self._seed, purpose=purpose)

    def result(self, result: Mapping[str, Any], qubits: int) -> AlgorithmResult:
        """Return the job's result with what is known of its fidelity."""
        if not self._device.ideal:
            return self._experiment.result(result)
        compared = [found.fidelity for found in self._read if found.fidelity is not None]
        if not compared:
            return AlgorithmResult(result, 1.0, "exact", qubits)
        return AlgorithmResult(result, sum(compared) / len(compared), "ideal_comparison", qubits)
