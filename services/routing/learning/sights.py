"""What runs on a machine say of another run there, by the places that they share. Pure.

The effect of a run, by how much more errs than was predicted, is

    e = g + sum_p w_p h_p        g ~ N(common, spread^2 + s drift^2)        h_p ~ N(0, place^2 + s place_drift^2)

g is the machine's, h_p that of a place (a qubit's gates, a pair, a reading), w_p the share of the place in what is
predicted to go wrong, and s the staleness of the calibration. Effects of runs are then a Gaussian process (Rasmussen &
Williams, Gaussian Processes for Machine Learning, 2006, chapter 2) whose covariance is what two runs share:

    cov(e_i, e_j) = var g + var h sum_p w_ip w_jp

It is what a Kalman filter over all g and h would say, for the cost of the layouts instead of that of the places.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.routing.exposure import Exposure, Place
from services.routing.learning.evidence import Evidence

MOST = 16
"""Layouts of which a machine is known by their places, those used last; others count for the machine alone."""
_LEAST_PRECISION = 1e-12
"""Below it runs tell nothing: a fidelity of all but 1 or 0 has hardly any slope."""
_LEAST_PART = 0.5
"""Of the deviation of a forecast: what is left of it at least once the drift of places is no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How far machines and their places are from what is predicted: standard deviations of effects."""

    spread: float
    """Of machines, on the day of their calibration."""
    drift: float
    """What is added to it, in squares, when they have drifted as far as they do."""
    place: float
    """Of places, likewise."""
    place_drift: float

    def of_machine(self, staleness: float) -> float:
        """The variance of a machine's effect."""
        return self.spread**2 + staleness * self.drift**2

    def of_place(self, staleness: float) -> float:
        """The variance of a place's."""
        return self.place**2 + staleness * self.place_drift**2

    def of_run(self, exposure: Exposure) -> float:
        """The variance of a run's, before anything was observed: an interval that is told counts it already."""
        places = self.of_place(exposure.staleness) * sum(share * share for _, share in exposure.places)
        return self.of_machine(exposure.staleness) + places


@dataclass(frozen=True, slots=True)
class Sighting:
    """A run: its residual was x times its effect, and noise."""

    x: float
    residual: float
    deviation: float
    """Of a residual about what was predicted: noise, and the scatter that is predicted."""
    exposure: Exposure | None
    """None where its places are not known."""
    time: dt.datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """What runs on the same places say of their effect."""

    exposure: Exposure
    evidence: Evidence

    def with_one(self, seen: Sighting, scatter: Scatter) -> Sight:
        """What they say with another of them; the scatter of its places is no noise."""
        whole = seen.deviation**2
        noise = max(_LEAST_PART**2 * whole, whole - seen.x**2 * scatter.of_run(self.exposure))
        return replace(self, evidence=self.evidence.plus(seen.x, seen.residual, math.sqrt(noise)))

    def of_machine(self, scatter: Scatter) -> Evidence:
        """What they say of the machine, whatever the places."""
        return self.evidence.blurred(scatter.of_run(self.exposure) - scatter.of_machine(self.exposure.staleness))


@dataclass(frozen=True, slots=True)
class _Solved:
    """The process, given what was seen, for one staleness."""

    mean: float
    """Of the machine's effect, before what was seen."""
    variance: float
    weights: list[float]
    """Of what each sight shares with an effect, in its mean."""
    factor: list[list[float]]
    """The Cholesky factor of the covariance of what was seen, row by row."""


@dataclass(frozen=True, slots=True)
class Sights:
    """What is known of one machine."""

    scatter: Scatter
    common: float
    """The mean of all machines' effects."""
    doubt: float
    """What the variance of the machine's effect is beyond its scatter: by what machines showed, or this one's drift."""
    rest: Evidence
    """Of the machine alone, from runs whose places are not remembered."""
    seen: tuple[Sight, ...]
    _solved: dict[float, _Solved] = field(default_factory=dict, compare=False, repr=False)

    def effect(self, exposure: Exposure) -> tuple[float, float]:
        """The mean and the variance of the effect of a run."""
        solved = self._solved.get(exposure.staleness)
        if solved is None:
            solved = self._solved[exposure.staleness] = self._solve(exposure.staleness)
        place, shares = self.scatter.of_place(exposure.staleness), dict(exposure.places)
        across = [solved.variance + place * _shared(each.exposure, shares) for each in self.seen]
        own = solved.variance + place * sum([share * share for share in shares.values()])
        explained = _forward(solved.factor, across)
        mean = solved.mean + sum([a * b for a, b in zip(across, solved.weights, strict=True)])
        return mean, max(0.0, own - sum([each * each for each in explained]))

    def _solve(self, staleness: float) -> _Solved:
        before = self.scatter.of_machine(staleness) + self.doubt
        variance = 1 / (1 / before + self.rest.precision)
        mean = variance * (self.common / before + self.rest.weighted)
        place = self.scatter.of_place(staleness)
        rows: list[list[float]] = []
        for index, one in enumerate(self.seen):
            shares = dict(one.exposure.places)
            row = [variance + place * _shared(other.exposure, shares) for other in self.seen[: index + 1]]
            row[-1] += 1 / max(one.evidence.precision, _LEAST_PRECISION)
            rows.append(row)
        factor = _cholesky(rows)
        halfway = _forward(factor, [each.evidence.effect - mean for each in self.seen])
        return _Solved(mean, variance, _backward(factor, halfway), factor)


def _shared(exposure: Exposure, shares: dict[Place, float]) -> float:
    """The overlap of two runs: the sum of the products of their shares."""
    return sum([share * shares[place] for place, share in exposure.places if place in shares])


def _cholesky(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """The lower factor of a matrix, which is given and told by the rows of its lower half."""
    factor: list[list[float]] = []
    for index, row in enumerate(rows):
        made: list[float] = []
        for column in range(index):
            done = sum([a * b for a, b in zip(made, factor[column], strict=False)])
            made.append((row[column] - done) / factor[column][column])
        made.append(math.sqrt(row[index] - sum(each * each for each in made)))
        factor.append(made)
    return factor


def _forward(factor: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """The solution y of L y = right."""
    found: list[float] = []
    for row, value in zip(factor, right, strict=True):
        done = sum([a * b for a, b in zip(row, found, strict=False)])
        found.append((value - done) / row[-1])
    return found


def _backward(factor: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """The solution z of L' z = right."""
    left, found = list(right), [0.0] * len(right)
    for index in reversed(range(len(right))):
        found[index] = left[index] / factor[index][index]
        for column in range(index):
            left[column] -= factor[index][column] * found[index]
    return found
