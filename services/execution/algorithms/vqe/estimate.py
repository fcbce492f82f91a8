"""An energy with an error bar, from shots in the measurement settings of an observable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.sampling import generator, hellinger_fidelity, is_comparable, sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.execution.algorithms.vqe.observable import Group, Observable

_HADAMARD = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
_INTO_X = _HADAMARD
_INTO_Y = _HADAMARD @ np.diag([1, -1j])


@dataclass(frozen=True, slots=True)
class Estimate:
    """An energy in Hartree with its standard error.

    `fidelity` is the Hellinger fidelity of the counts against the exact distributions, averaged over the shots of those
    settings that had enough to be compared; None where none had.
    """

    energy: float
    standard_error: float
    fidelity: float | None


def estimate(observable: Observable, state: NDArray[np.complex128], *, shots: int, seed: int) -> Estimate:
    """Measure an observable in a state with `shots` shots in all.

    `state` is the output of the engine for the ansatz circuit, which every setting begins with: the simulator runs that
    part once, and each setting then adds its own basis change and draws its own shots, as a device would.
    """
    random = generator(seed, "vqe")
    energy, variance = observable.constant, 0.0
    compared, agreement = 0, 0.0
    for group, share in zip(observable.groups, observable.shares(shots), strict=True):
        distribution = _distribution(group, state)
        outcomes, counts = sample(distribution, share, random)
        values = group.values(outcomes)
        mean = float(values @ counts) / share
        energy += mean
        variance += float((values - mean) ** 2 @ counts) / (share - 1) / share
        if is_comparable(distribution, share):
            compared += share
            agreement += share * hellinger_fidelity(distribution, outcomes, counts)
    return Estimate(energy, math.sqrt(variance), agreement / compared if compared else None)


def _distribution(group: Group, state: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the probabilities of the outcomes in a group's setting, qubit 0 lowest."""
    qubits = state.size.bit_length() - 1
    tensor = state.reshape((2,) * qubits)
    for qubit in range(qubits):
        if group.x >> qubit & 1:
            change = _INTO_Y if group.z >> qubit & 1 else _INTO_X
            axis = qubits - 1 - qubit
            tensor = np.moveaxis(np.tensordot(change, tensor, axes=(1, axis)), 0, axis)
    return np.asarray(np.abs(tensor.ravel()) ** 2)
