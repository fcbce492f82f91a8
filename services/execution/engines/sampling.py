"""Sampling of an exact distribution, and how well counts agree with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.engine import COMPARABLE_SHOTS_PER_OUTCOME
from services.execution.engines.seeds import spread_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_BLOCK = 2**18
"""Amplitudes."""
IMPOSSIBLE = 1e-12
"""Below this a probability is rounding error."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator whose stream no other seed or purpose shares."""
    return np.random.Generator(np.random.PCG64(spread_seed(seed, purpose)))


def sample(
    distribution: NDArray[np.float64], shots: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw `shots` outcomes; return the ones that occurred, ascending, and how often each did.

    A few shots are drawn one by one, by inversion; more shots than possible outcomes as a multinomial over these, which
    takes no longer for a million shots than for a thousand.
    """
    possible = np.flatnonzero(distribution > 0)
    if shots > len(possible):
        weights = distribution[possible]
        drawn = random.multinomial(shots, weights / weights.sum())
        occurred = np.flatnonzero(drawn)
        return possible[occurred], drawn[occurred]
    cumulative = np.cumsum(np.clip(distribution, 0, None))
    points = np.sort(random.random(shots)) * cumulative[-1]
    outcomes = np.minimum(np.searchsorted(cumulative, points, side="right"), possible[-1])
    return np.unique(outcomes, return_counts=True)


def sample_amplitudes(
    parts: NDArray[np.float32], shots: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw outcomes of a state given as real and imaginary parts by turns; return what `sample` does.

    The state is read in blocks, by inversion, so that no distribution of its width is ever held; the sums are taken in
    one order, whatever number of threads made the state.
    """
    blocks = parts.reshape(-1, min(len(parts), 2 * _BLOCK))
    ends = np.cumsum([_weights(block).sum() for block in blocks])
    points = np.sort(random.random(shots)) * ends[-1]
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
    drawn = np.empty(shots, dtype=np.int64)
    for place in np.unique(places):
        here = places == place
        cumulative = np.cumsum(_weights(blocks[place]))
        inside = points[here] - (ends[place - 1] if place else 0.0)
        last = int(np.searchsorted(cumulative, cumulative[-1]))  # nothing after it is possible
        found = np.minimum(np.searchsorted(cumulative, inside, side="right"), last)
        drawn[here] = found + place * len(cumulative)
    return np.unique(drawn, return_counts=True)


def _weights(block: NDArray[np.float32]) -> NDArray[np.float64]:
    parts = block.astype(np.float64)
    return np.asarray(parts[0::2] ** 2 + parts[1::2] ** 2)


def marginal(distribution: NDArray[np.float64], qubits: Sequence[int]) -> NDArray[np.float64]:
    """Return the distribution of some of the qubits, given ascending; in both, the first qubit is lowest."""
    width = len(distribution).bit_length() - 1
    if len(qubits) == width:
        return distribution
    kept = np.zeros(width, dtype=bool)
    kept[list(qubits)] = True
    ends = np.flatnonzero(np.diff(kept[::-1])) + 1
    runs = np.diff([0, *ends, width])  # neighbours that stay or go together are one axis: 2^20 of few axes sums fast
    starts = np.cumsum(runs) - runs
    dropped = tuple(axis for axis, start in enumerate(starts) if not kept[width - 1 - start])
    return np.asarray(distribution.reshape([1 << int(run) for run in runs]).sum(axis=dropped)).ravel()


def distinct(rows: NDArray[np.uint8], counts: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the distinct rows of bytes, in a fixed order, and the sum of the counts of each."""
    length = rows.shape[1]
    padded = np.zeros((len(rows), -(-length // 8) * 8), dtype=np.uint8)
    padded[:, :length] = rows
    words = padded.view(np.uint64)
    keys = words[:, 0] if words.shape[1] == 1 else padded.view(f"V{padded.shape[1]}")[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], np.bincount(inverse, weights=counts, minlength=len(first)).astype(np.int64)


def shuffled(counts: Mapping[str, int], random: np.random.Generator) -> tuple[str, ...]:
    """Return every shot of the counts, in random order: shots are exchangeable, so any order is as likely."""
    labels = list(counts)
    places = random.permutation(np.repeat(np.arange(len(labels)), list(counts.values())))
    return tuple(map(labels.__getitem__, places.tolist()))


def hellinger_fidelity(
    distribution: NDArray[np.float64], outcomes: NDArray[np.int64], counts: NDArray[np.int64] | NDArray[np.float64]
) -> float:
    """Return (sum over outcomes of sqrt(p q))^2 of a distribution p and the frequencies q, in 0 to 1."""
    frequencies = counts / counts.sum()
    overlap = float(np.sqrt(np.clip(distribution[outcomes], 0, None) * frequencies).sum())
    return min(1.0, overlap**2)


def is_comparable(distribution: NDArray[np.float64], shots: int) -> bool:
    """Tell whether the shots are enough for the counts to resemble the distribution."""
    possible = int(np.count_nonzero(distribution > IMPOSSIBLE))
    return shots >= COMPARABLE_SHOTS_PER_OUTCOME * possible
