"""A device that keeps a journal of what is run on it, whatever the algorithm: for the signed record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from numpy import complex128
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.device import Device, RunWishes
    from services.execution.engines.engine import Outcome
    from services.execution.engines.transpiled import Transpiled
    from services.execution.programs.program import Program


class Journal:
    """Does what its device does.

    `circuit_count` and `shot_count` are those of all runs, `device_seconds` the time that they and the state vectors
    took. `transpiled` is the fitted circuit with the most gates on two qubits, None where none was fitted.
    """

    def __init__(self, device: Device) -> None:
        """Begin an empty journal."""
        self._device = device
        self.circuit_count = 0
        self.shot_count = 0
        self.device_seconds = 0.0
        self.transpiled: Transpiled | None = None

    @property
    def ideal(self) -> bool:
        """See `Device.ideal`."""
        return self._device.ideal

    @property
    def engine(self) -> str:
        """See `Device.engine`."""
        return self._device.engine

    @property
    def engine_version(self) -> str:
        """See `Device.engine_version`."""
        return self._device.engine_version

    @property
    def calibration_id(self) -> str | None:
        """See `Device.calibration_id`."""
        return self._device.calibration_id

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """See `Device.expect`."""
        self._device.expect(programs)

    def run(self, program: Program, *, shots: int, seed: int, **wishes: Unpack[RunWishes]) -> Outcome:
        """Run a program and note it; see `Device.run`."""
        with self._timed():
            outcome = self._device.run(program, shots=shots, seed=seed, **wishes)
        self.circuit_count += 1
        self.shot_count += shots
        fitted, largest = outcome.transpiled, self.transpiled
        if fitted and (largest is None or fitted.two_qubit_gate_count > largest.two_qubit_gate_count):
            self.transpiled = fitted
        return outcome

    def statevector(self, circuit: QuantumCircuit) -> NDArray[complex128]:
        """See `Device.statevector`."""
        with self._timed():
            return self._device.statevector(circuit)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.device_seconds += time.perf_counter() - started
