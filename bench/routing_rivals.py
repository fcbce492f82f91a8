"""Other choosers, in their own code, made to see our machines."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.transpiler import Target
from qiskit_backend_selector import NoiseAwareScoring

from services.execution.twins.device import CalibratedDevice


class _Properties:
    """What the selector reads of IBM's BackendProperties; qubits are the working ones, from 0."""

    def __init__(self, device: CalibratedDevice) -> None:
        self._device = device

    def readout_error(self, qubit: int) -> float:
        return self._device.snapshot.qubits[self._device.working[qubit]].readout_error or 0.0

    def gate_error(self, name: str, qubits: list[int]) -> float:
        error, _ = self._device.rate(name, tuple(self._device.working[qubit] for qubit in qubits))
        return error or 0.0


class _Backend(BackendV2):  # type: ignore[misc]  # qiskit is untyped
    """A machine as Qiskit's object."""

    def __init__(self, device: CalibratedDevice) -> None:
        super().__init__(name=device.snapshot.device)
        self._device = device

    @property
    def target(self) -> Target:
        return self._device.target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> None:
        return None

    def run(self, run_input: object, **options: object) -> None:  # noqa: ARG002 - as BackendV2 has it
        raise RuntimeError("a machine of the scoreboard is scored and runs nothing")

    def properties(self) -> _Properties:
        return _Properties(self._device)


def selector_score(device: CalibratedDevice, circuit: QuantumCircuit) -> float:
    """The score of qiskit-quantum-backend-selector, with its defaults; 0 where it gives none."""
    return NoiseAwareScoring().score(_Backend(device), circuit) or 0.0
