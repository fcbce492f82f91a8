"""What is read of a fitted circuit where every gate errs as its calibration says, exactly. Heavy: for children alone.

The density matrix of noise/density.py, qubit by qubit only as long as it is needed, so that the circuits that machines
are good for take milliseconds: those of up to 8 qubits of MQT Bench 2 ms on average and 25 at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from noise.density import Plan
from noise.fusion import Channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.routing.prediction.calibration import Calibration, Place, Qubit, Rate

WIDEST = 13
"""Qubits of the widest circuit that is looked at; of a wider one even planning takes too long."""
MOST_WORK = 4_000_000
"""Numbers that a run may write, some 40 ms; beyond it a prediction goes by mixture.py."""


class NoisyMachine:
    """The working qubits of a machine, numbered as in circuits that are fitted to it (noise/machine.py)."""

    def __init__(self, calibration: Calibration, rates: dict[str, dict[Place, Rate]]) -> None:
        """Take the errors of a calibration; `rates` are those of its gates by name and place."""
        self._working = calibration.working
        self._rates = rates
        self.qubits: Sequence[Qubit] = [calibration.qubits[qubit] for qubit in self._working]
        self.dt_ns = calibration.dt_ns
        self._channels = Channels(self)

    def rate(self, name: str, place: Place) -> tuple[float | None, float | None]:
        """The error and the seconds of a gate at some qubits."""
        rate = self._rates.get(name, {}).get(tuple([self._working[qubit] for qubit in place]))
        return (None, None) if rate is None else (rate.error, rate.seconds)

    def distribution(self, fitted: QuantumCircuit, measured: tuple[int, ...]) -> NDArray[np.float32] | None:
        """What is read of a circuit's `measured` qubits, the first one lowest; None where that takes too long.

        The circuit reads each of them once, at its end.
        """
        plan = Plan(fitted, measured, self, self._channels)
        if plan.distribution_work > MOST_WORK:
            return None
        return plan.distribution().astype(np.float32)


def hellinger(right: NDArray[np.float32], read: NDArray[np.float32]) -> float:
    """The Hellinger fidelity of two distributions, 0 to 1."""
    return min(1.0, float(np.sqrt(right * read).sum(dtype=np.float64)) ** 2)
