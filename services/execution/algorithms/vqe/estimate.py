"""An energy with an error bar: from shots of a simulated state, from circuits on a device, or without shots."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.execution.algorithms.tally import Tally
from services.execution.algorithms.vqe.measurement import Measurement, distribution_of
from services.execution.engines.sampling import generator, hellinger_fidelity, is_comparable, sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.algorithms.experiment import Experiment


@dataclass(frozen=True, slots=True)
class Estimate:
    """An energy in Hartree with its standard error, None where it took no shots.

    `fidelity` is the Hellinger fidelity of the counts against the exact distributions, averaged over the shots of those
    settings that had enough to be compared; None where none had.
    """

    energy: float
    standard_error: float | None
    shots: int = 0
    settings: int = 0
    fidelity: float | None = None


def simulated(
    measurement: Measurement, state: NDArray[np.complex128], *, shots: int, seed: int, purpose: str = "vqe"
) -> Estimate:
    """Measure in a state with `shots` shots in all.

    `state` is the output of the engine for the ansatz circuit, which every setting begins with: the simulator runs that
    part once, and each setting then adds its own basis change and draws its own shots, as a device would.
    """
    random = generator(seed, purpose)
    tallies = []
    compared, agreement = 0, 0.0
    for setting, share in zip(measurement.settings, measurement.shares(shots), strict=True):
        distribution = distribution_of(setting, state)
        outcomes, counts = sample(distribution, share, random)
        tallies.append(Tally(outcomes, counts))
        if is_comparable(distribution, share):
            compared += share
            agreement += share * hellinger_fidelity(distribution, outcomes, counts)
    return _estimate(measurement, tallies, agreement / compared if compared else None)


def on_device(measurement: Measurement, circuit: QuantumCircuit, experiment: Experiment, *, shots: int) -> Estimate:
    """Measure the state that a circuit prepares with `shots` shots in all, one circuit for each setting.

    Raises EngineError.
    """
    circuits = [setting.measured(circuit) for setting in measurement.settings]
    counts = experiment.counts(circuits, measurement.shares(shots))
    return _estimate(measurement, [Tally.of(one) for one in counts], None)


def _estimate(measurement: Measurement, tallies: list[Tally], fidelity: float | None) -> Estimate:
    energy, variance = measurement.constant, 0.0
    for setting, tally in zip(measurement.settings, tallies, strict=True):
        mean, error = tally.mean(setting.values(tally.outcomes))
        energy += mean
        variance += error**2
    shots = sum(tally.total for tally in tallies)
    return Estimate(energy, math.sqrt(variance), shots, len(tallies), fidelity)
