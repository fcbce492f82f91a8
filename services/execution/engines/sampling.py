"""Sampling of an exact distribution, and how well counts agree with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.engine import COMPARABLE_SHOTS_PER_OUTCOME
from services.execution.engines.seeds import spread_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

IMPOSSIBLE = 1e-12
"""Below this a probability is rounding error."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator whose stream no other seed or purpose shares."""
    return np.random.Generator(np.random.PCG64(spread_seed(seed, purpose)))


def sample(
    distribution: NDArray[np.float64], shots: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw `shots` outcomes by inversion; return the ones that occurred, ascending, and how often each did."""
    cumulative = np.cumsum(np.clip(distribution, 0, None))
    drawn = np.searchsorted(cumulative, random.random(shots) * cumulative[-1], side="right")
    last = int(np.flatnonzero(distribution > 0)[-1])
    outcomes, counts = np.unique(np.minimum(drawn, last), return_counts=True)
    return outcomes, counts


def shuffled(counts: Mapping[str, int], random: np.random.Generator) -> tuple[str, ...]:
    """Return every shot of the counts, in random order: shots are exchangeable, so any order is as likely."""
    labels = list(counts)
    places = random.permutation(np.repeat(np.arange(len(labels)), list(counts.values())))
    return tuple(map(labels.__getitem__, places.tolist()))


def hellinger_fidelity(
    distribution: NDArray[np.float64], outcomes: NDArray[np.int64], counts: NDArray[np.int64]
) -> float:
    """Return (sum over outcomes of sqrt(p q))^2 of a distribution p and the frequencies q, in 0 to 1."""
    frequencies = counts / counts.sum()
    overlap = float(np.sqrt(np.clip(distribution[outcomes], 0, None) * frequencies).sum())
    return min(1.0, overlap**2)


def is_comparable(distribution: NDArray[np.float64], shots: int) -> bool:
    """Tell whether the shots are enough for the counts to resemble the distribution."""
    possible = int(np.count_nonzero(distribution > IMPOSSIBLE))
    return shots >= COMPARABLE_SHOTS_PER_OUTCOME * possible
