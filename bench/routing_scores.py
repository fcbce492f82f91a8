"""How much of what there was to gain by choosing among machines a chooser gained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Numbers = NDArray[np.float64]
_RESAMPLES = 1000
_WAIT_MINUTES, _WAIT_SPREAD = 5.0, 1.2
"""The median of the time in a queue, and the standard deviation of its logarithm."""
_PRICES = (0.0, 1.0)
_JOBS = 20
"""Times that each circuit comes, with other queues."""


class Score(msgspec.Struct, frozen=True):
    """A number, and the interval in which 95 % of resamplings of the families lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pool:
    """Circuits on machines: arrays of circuits by machines."""

    name: str
    devices: tuple[str, ...]
    families: tuple[str, ...]
    """Of each circuit."""
    seeds: tuple[int, ...]
    """Of each circuit's world: under another, the machines are others."""
    true: Numbers
    said: Mapping[str, Numbers]
    """By chooser."""

    def gains(self, said: Numbers) -> tuple[Numbers, Numbers]:
        """For each circuit what a chooser gained over a random choice, and what could be gained."""
        random = self.true.mean(1)
        return self.true[np.arange(len(self.true)), said.argmax(1)] - random, self.true.max(1) - random

    def captured(self, said: Numbers) -> Score:
        """(chosen - random) / (oracle - random), of the sums over circuits."""
        gained, there = self.gains(said)
        return resampled(self.families, lambda rows: float(gained[rows].sum() / there[rows].sum()))

    def static_best(self) -> Numbers:
        """The machine that is best on average in a world, known beforehand: no fixed choice can do better."""
        seeds = np.array(self.seeds)
        return np.array([self.true[seeds == seed].mean(0) for seed in self.seeds])

    def rank_correlation(self, said: Numbers) -> Score:
        """The mean over circuits of Spearman's correlation across the machines; ties of the truth are left out."""
        each = np.array(
            [
                spearmanr(own, other).statistic if np.ptp(own) > 1e-4 and np.ptp(other) > 0 else math.nan
                for own, other in zip(self.true, said, strict=True)
            ]
        )
        return resampled(self.families, lambda rows: float(np.nanmean(each[rows])))

    def regrets(self, said: Mapping[str, Numbers]) -> dict[str, Score]:
        """What each chooser leaves of F - 0.03 log10(1 + minutes of wait) - 0.02 price; queues and prices are drawn."""
        random = np.random.default_rng(0)
        shape = (_JOBS, *self.true.shape)
        waits = _WAIT_MINUTES * np.exp(_WAIT_SPREAD * random.standard_normal(shape))
        prices = np.broadcast_to(random.uniform(*_PRICES, len(self.devices)), shape)
        costs = 0.03 * np.log10(1 + waits) + 0.02 * prices
        utility = self.true - costs
        wanted = {name: each - costs for name, each in said.items()}
        best = self.static_best() - costs.mean((0, 1))  # what each machine costs on average
        wanted |= {
            "static best": np.broadcast_to(best, shape),
            "fidelity only": np.broadcast_to(said["prediction"], shape),
            "least busy": -waits,
            "cheapest": -prices,
        }
        found = {name: (utility.max(2) - _taken(utility, each)).mean(0) for name, each in wanted.items()}
        found["random"] = (utility.max(2) - utility.mean(2)).mean(0)
        return {name: resampled(self.families, _mean_of(each)) for name, each in found.items()}


def _taken(utility: Numbers, wanted: Numbers) -> Numbers:
    return np.take_along_axis(utility, wanted.argmax(2)[:, :, None], 2)[:, :, 0]


def _mean_of(values: Numbers) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float(values[rows].mean())


def resampled(families: Sequence[str], score: Callable[[NDArray[np.int64]], float]) -> Score:
    """A score of rows, and its interval by resampling families: circuits of a family are much alike."""
    names = sorted(set(families))
    rows = {name: np.flatnonzero(np.array(families) == name) for name in names}
    random = np.random.default_rng(0)
    drawn = [
        score(np.concatenate([rows[names[index]] for index in random.integers(0, len(names), len(names))]))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Score(round(score(np.arange(len(families))), 4), round(float(low), 4), round(float(high), 4))
