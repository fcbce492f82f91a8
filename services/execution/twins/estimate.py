"""What a calibration alone says of a circuit's run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from noise.channel import relaxation
from noise.fusion import seconds_of
from services.execution.twins.fitting import operations

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from services.execution.twins.device import CalibratedDevice


def success_probability(circuit: QuantumCircuit, device: CalibratedDevice) -> float:
    """The probability that no gate and no readout of a transpiled circuit errs, 0 to 1: the product of (1 - error).

    Every branch counts as taken, and a loop as run once.
    """
    total = 0.0
    for item, place in operations(circuit):
        if item.name == "measure":
            error = device.snapshot.qubits[place[0]].readout_error
        elif item.name == "delay":
            waits = relaxation(device.snapshot.qubits[place[0]], seconds_of(item, device))
            error = (1 - float(np.trace(waits)) / 4) * 2 / 3  # 1 - average fidelity, of a process fidelity tr R / d^2
        else:
            error, _ = device.rate(item.name, place)
        if error:
            total += math.log1p(-min(error, 1 - 1e-12))
    return math.exp(total)
