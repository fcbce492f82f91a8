"""How an energy is measured with the fewest shots: which terms together, in which shares, and with how many shots.

Three steps, each known from the literature. Terms that commute are read by one setting, grouped by sorted insertion
(Crawford et al., Quantum 5, 385 (2021)). A term that commutes with several groups is read by all of them, and its
coefficient divided among them; the shots are divided in proportion to the standard deviations (both by Yen, Ganeshram,
Izmaylov, npj Quantum Inf. 9, 14 (2023)). The last two need the covariances of the terms, which come from the ansatz
state as it was simulated when its angles were found: they make the error bar small, and leave the mean what the device
gives, whatever the device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.algorithms.vqe.settings import Setting, clashes_of, constant_of, groups_of, ranked, setting_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit.quantum_info import SparsePauliOp

    Reals = NDArray[np.float64]

_LEAST_SHOTS = 2
"""Per setting: with fewer there is no variance."""
_ROUNDS = 4
"""Of dividing coefficients and shots in turn; the error bars of the molecules change by less than 2 % after them."""
_SPREAD = 1e-3
"""Added to the variance of each term: a device's covariances are not quite the simulated ones."""
_IMPOSSIBLE = 1e-14


@dataclass(frozen=True, slots=True)
class Measurement:
    """A constant and the settings that add up to an observable; `deviations` are those of one shot of each setting."""

    constant: float
    settings: tuple[Setting, ...]
    deviations: tuple[float, ...]

    def shares(self, shots: int) -> list[int]:
        """Divide the shots among the settings in proportion to their deviations, at least 2 to each.

        Raises AlgorithmError where the shots are fewer than that.
        """
        least = _LEAST_SHOTS * len(self.settings)
        if shots < least:
            message = f"{shots} shots are too few for {len(self.settings)} measurement settings; take at least {least}"
            raise AlgorithmError(message)
        free, weights = shots - least, np.array(self.deviations)
        shares = weights / weights.sum() if weights.sum() else np.full(len(weights), 1 / len(weights))
        exact = np.round(free * shares, 6)  # equal shares stay equal, whatever the rounding before
        given = np.floor(exact).astype(int)
        for index in np.argsort(given - exact, kind="stable")[: free - int(given.sum())]:
            given[index] += 1
        return [int(share) + _LEAST_SHOTS for share in given]


def measurement_of(operator: SparsePauliOp, state: NDArray[np.complex128]) -> Measurement:
    """Plan the measurement of a real operator in about the given state, over all its qubits."""
    groups = groups_of(operator)
    wide = _widened(operator, groups)
    settings = [setting_of(operator, group) for group in wide]
    covariances = [_covariance(setting, state) for setting in settings]
    first = [
        np.where(np.isin(terms, group), operator.coeffs.real[terms], 0.0)
        for terms, group in zip(wide, groups, strict=True)
    ]
    parts = _divided(operator.coeffs.real, wide, covariances, first)
    deviations = _deviations(parts, covariances)
    return Measurement(
        constant_of(operator),
        tuple(replace(setting, coefficients=part) for setting, part in zip(settings, parts, strict=True)),
        tuple(float(deviation) for deviation in deviations),
    )


def _widened(operator: SparsePauliOp, groups: list[list[int]]) -> list[list[int]]:
    """Add to each group every term that commutes with all that is in it, largest coefficient first."""
    clashes = clashes_of(operator.paulis)
    order = ranked(operator)
    wide = []
    for group in groups:
        terms, banned = list(group), np.any(clashes[group], axis=0)
        for term in order:
            if term not in group and not banned[term]:
                terms.append(term)
                banned |= clashes[term]
        wide.append(sorted(terms))
    return wide


def _covariance(setting: Setting, state: NDArray[np.complex128]) -> Reals:
    """Return the covariances of the values that the terms have in one shot."""
    probabilities = distribution_of(setting, state)
    outcomes = np.flatnonzero(probabilities > _IMPOSSIBLE)
    weights, readings = probabilities[outcomes], setting.readings(outcomes)
    means = weights @ readings
    return np.asarray((readings.T * weights) @ readings - np.outer(means, means))


def distribution_of(setting: Setting, state: NDArray[np.complex128]) -> Reals:
    """Return the probabilities of the outcomes of a setting in a state."""
    return np.asarray(Statevector(state).evolve(setting.change).probabilities(list(setting.qubits)))


def _divided(coefficients: Reals, groups: list[list[int]], covariances: list[Reals], parts: list[Reals]) -> list[Reals]:
    """Divide every term's coefficient among its groups so that the sum of the deviations becomes small.

    With shares m of the shots the variance is sum of c' V c / m over the groups. Under the condition that the parts of
    each term add up to its coefficient it is least at c = m V^-1 y with one y for all groups; the shares that are best
    for these parts follow, and so on in turn.
    """
    size = len(coefficients)
    inverses = [np.linalg.inv(covariance + _SPREAD * np.eye(len(covariance))) for covariance in covariances]
    grouped = np.unique(np.concatenate([np.array(group) for group in groups]))
    for _ in range(_ROUNDS):
        shares = np.maximum(_deviations(parts, covariances), 1e-9)
        total = np.zeros((size, size))
        for group, inverse, share in zip(groups, inverses, shares, strict=True):
            total[np.ix_(group, group)] += share * inverse
        multipliers = np.zeros(size)
        multipliers[grouped] = np.linalg.solve(total[np.ix_(grouped, grouped)], coefficients[grouped])
        parts = [
            share * (inverse @ multipliers[group])
            for group, inverse, share in zip(groups, inverses, shares, strict=True)
        ]
    return parts


def _deviations(parts: list[Reals], covariances: list[Reals]) -> Reals:
    variances = [part @ covariance @ part for part, covariance in zip(parts, covariances, strict=True)]
    return np.sqrt(np.maximum(variances, 0.0))
