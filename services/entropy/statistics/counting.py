"""Min-entropy from counts: most common value, collision, Markov, compression (SP 800-90B, sections 6.3.1 to 6.3.4).

All are of bits and in bits per bit. Each gives an upper bound of the probability of the likeliest outcome at 99 %
confidence, and so a lower bound of the min-entropy.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from scipy import optimize

from services.entropy.statistics.outcome import Bits
from services.entropy.statistics.patterns import distances
from services.entropy.statistics.streaks import Z_ALPHA

_BLOCK = 6
_LEARNT = 1000
_CHAIN = 128


def upper_bound(share: float, count: int) -> float:
    """The upper end of the confidence interval of a share seen in `count` trials; at most 1."""
    return min(1.0, share + Z_ALPHA * math.sqrt(share * (1 - share) / (count - 1)))


def most_common_value(bits: Bits) -> float:
    """How much the commoner bit leads (6.3.1)."""
    ones = int(np.count_nonzero(bits))
    return -math.log2(upper_bound(max(ones, len(bits) - ones) / len(bits), len(bits)))


def collision(bits: Bits) -> float:
    """How soon a bit recurs (6.3.2): of two bits in a row they are equal, of three two must be."""
    twos, threes = collisions(bits)
    count, total = twos + threes, 2 * twos + 3 * threes
    mean = total / count
    deviation = math.sqrt((4 * twos + 9 * threes - total * mean) / (count - 1))
    mean = max(2.0, mean - Z_ALPHA * deviation / math.sqrt(count))
    # The expectation is 2 + 2p(1 - p), which the longer form of the standard's step 7 comes to.
    return -math.log2(0.5 + math.sqrt(1.25 - mean / 2)) if mean < 2.5 else 1.0  # noqa: PLR2004 - its maximum


@numba.njit(cache=True, nogil=True)
def collisions(bits: Bits) -> tuple[int, int]:  # pragma: no cover - compiled
    """How many collisions come after two bits, and how many after three."""
    twos = threes = 0
    place, count = 0, len(bits)
    while place < count - 1:
        if bits[place] == bits[place + 1]:
            twos += 1
            place += 2
        elif place < count - 2:
            threes += 1
            place += 3
        else:
            break
    return twos, threes


def markov(bits: Bits) -> float:
    """The likeliest run of 128 bits of a first-order Markov chain (6.3.3)."""
    count = len(bits)
    transitions = np.bincount(bits[:-1] * 2 + bits[1:], minlength=4).reshape(2, 2)
    leaving = transitions.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.log2(np.where(leaving > 0, transitions / leaving, 0.0))
        ones = int(np.count_nonzero(bits))
        first = np.log2(np.array([count - ones, ones]) / count)
    half = _CHAIN // 2
    chains = [first[bit] + (_CHAIN - 1) * step[bit, bit] for bit in (0, 1)]
    for bit in (0, 1):
        other = 1 - bit
        chains += [
            first[bit] + step[bit, other] + (_CHAIN - 2) * step[other, other],
            first[bit] + half * step[bit, other] + _times(half - 1, step[other, bit]),
        ]
    return min(1.0, -float(max(chains)) / _CHAIN)


def _times(factor: int, logarithm: float) -> float:
    return factor * float(logarithm)


def compression(bits: Bits) -> float:
    """Maurer's statistic on blocks of six bits (6.3.4)."""
    count = len(bits) // _BLOCK
    rows = bits[: count * _BLOCK].reshape(count, _BLOCK)
    logarithms = np.log2(distances(rows @ (1 << np.arange(_BLOCK - 1, -1, -1)))[_LEARNT:])
    tested = len(logarithms)
    mean = float(logarithms.mean())
    # The factor is c(d) of the standard's step 5, for d = 1000 and blocks of six bits.
    deviation = 0.5907 * math.sqrt(float((logarithms**2).sum()) / (tested - 1) - mean * mean)
    goal = mean - Z_ALPHA * deviation / math.sqrt(tested)
    expected = _Expectation(count)
    if expected.mean(1 / 2**_BLOCK) <= goal:
        return 1.0
    if expected.mean(1.0) >= goal:
        return 0.0
    share = float(optimize.brentq(lambda p: expected.mean(p) - goal, 1 / 2**_BLOCK, 1.0, xtol=1e-14, rtol=1e-13))
    return -math.log2(share) / _BLOCK


class _Expectation:
    """What the mean of the logarithms should be, by the probability of the likeliest block (6.3.4, step 7)."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._logarithms = np.log2(np.arange(1, blocks + 1, dtype=np.float64))

    def mean(self, share: float) -> float:
        rest: int = 2**_BLOCK - 1
        return self._part(share) + rest * self._part((1 - share) / rest)

    def _part(self, share: float) -> float:
        """G(z): 1/v · Σ_t Σ_u log2(u) · F(z, t, u), with the sum over t done in closed form.

        At distance u < t a block was seen u ago: z² (1 - z)^(u-1). At u = t it was never seen: z (1 - z)^(t-1).
        """
        if share in (0.0, 1.0):
            return 0.0
        u = np.arange(1, self._blocks + 1, dtype=np.float64)
        weights = np.exp((u - 1) * math.log1p(-share))
        later = self._blocks - np.maximum(u, _LEARNT)  # how many t lie beyond both u and what was learnt
        seen = share * share * float((self._logarithms * weights * later).sum())
        never = share * float((self._logarithms * weights)[_LEARNT:].sum())
        return (seen + never) / (self._blocks - _LEARNT)
