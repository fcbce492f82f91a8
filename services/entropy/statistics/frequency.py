"""Tests of how many ones there are, and of runs of equal bits (SP 800-22, sections 2.1 to 2.4 and 2.13)."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from services.entropy.statistics.outcome import Bits, Floats, Integers, Outcome, outcome, too_short

LEAST_BITS = 100
BLOCK_BITS = 128


def frequency(bits: Bits) -> Outcome:
    """The monobit test (2.1)."""
    if len(bits) < LEAST_BITS:
        return too_short("Frequency", LEAST_BITS)
    return outcome("Frequency", frequency_p(bits))


def frequency_p(bits: Bits) -> float:
    """The p-value for any number of bits."""
    return math.erfc(abs(2 * int(np.count_nonzero(bits)) - len(bits)) / math.sqrt(2 * len(bits)))


def block_frequency(bits: Bits, block: int = BLOCK_BITS) -> Outcome:
    """The share of ones in blocks (2.2)."""
    if len(bits) < max(LEAST_BITS, block):
        return too_short("BlockFrequency", max(LEAST_BITS, block), M=block)
    return outcome("BlockFrequency", block_frequency_p(bits, block), M=block)


def block_frequency_p(bits: Bits, block: int) -> float:
    """The p-value for blocks of `block` bits, at least one."""
    count = len(bits) // block
    ones = bits[: count * block].reshape(count, block).sum(1, dtype=np.int64)
    chi_squared = 4 * block * float(((ones / block - 0.5) ** 2).sum())
    return float(special.gammaincc(count / 2, chi_squared / 2))


def runs(bits: Bits) -> Outcome:
    """The number of runs (2.3); p is 0 where the share of ones is too far from one half for it."""
    if len(bits) < LEAST_BITS:
        return too_short("Runs", LEAST_BITS)
    return outcome("Runs", runs_p(bits))


def runs_p(bits: Bits) -> float:
    """The p-value for any number of bits."""
    count = len(bits)
    share = int(np.count_nonzero(bits)) / count
    if abs(share - 0.5) >= 2 / math.sqrt(count):
        return 0.0
    seen = 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    spread = share * (1 - share)
    return float(special.erfc(abs(seen - 2 * count * spread) / (2 * math.sqrt(2 * count) * spread)))


_LONGEST = (
    # least bits, bits of a block, classes of the longest run (the first and the last are open), their probabilities
    (750_000, 10_000, 10, (0.0882, 0.2092, 0.2483, 0.1933, 0.1208, 0.0675, 0.0727)),
    (6_272, 128, 4, (0.1174035788, 0.242955959, 0.249363483, 0.17517706, 0.102701071, 0.112398847)),
    (128, 8, 1, (0.21484375, 0.3671875, 0.23046875, 0.1875)),
)
"""Section 3.4, to the digits that NIST's program has."""


def longest_run(bits: Bits) -> Outcome:
    """The longest run of ones in blocks (2.4)."""
    for least, block, lowest, probabilities in _LONGEST:
        if len(bits) >= least:
            count = len(bits) // block
            longest = _longest_runs(bits[: count * block].reshape(count, block))
            classes = np.clip(longest - lowest, 0, len(probabilities) - 1)
            expected = count * np.array(probabilities)
            seen = np.bincount(classes, minlength=len(probabilities))
            chi_squared = float(((seen - expected) ** 2 / expected).sum())
            return outcome("LongestRun", special.gammaincc((len(probabilities) - 1) / 2, chi_squared / 2), M=block)
    return too_short("LongestRun", _LONGEST[-1][0])


def _longest_runs(blocks: Bits) -> Integers:
    """The longest run of ones in each row: the widest gap between its zeros, with a zero set before and after it."""
    count, width = blocks.shape
    fenced = np.zeros((count, width + 2), np.uint8)
    fenced[:, 1:-1] = blocks
    zeros = np.flatnonzero(fenced == 0)
    gaps = np.diff(zeros) - 1  # the gap from one row's last zero to the next row's first is none
    starts = np.searchsorted(zeros, np.arange(count) * (width + 2))
    return np.maximum.reduceat(np.append(gaps, 0), starts)


def cumulative_sums(bits: Bits) -> Outcome:
    """The farthest that a walk of ±1 comes, forward and backward (2.13)."""
    if len(bits) < LEAST_BITS:
        return too_short("CumulativeSums", LEAST_BITS)
    return outcome("CumulativeSums", cumulative_sums_p(bits))


def cumulative_sums_p(bits: Bits) -> tuple[float, float]:
    """The two p-values for any number of bits."""
    walk = np.concatenate(([0], np.cumsum(bits.astype(np.int8) * np.int8(2) - np.int8(1), dtype=np.int32)))
    low, high, last = int(walk.min()), int(walk.max()), int(walk[-1])
    return _excursion_p(max(high, -low), len(bits)), _excursion_p(max(last - low, high - last), len(bits))


def _excursion_p(farthest: int, count: int) -> float:
    """P(a walk of `count` steps comes as far as `farthest`), by the two sums of 2.13.4; bounds truncate as in C."""
    ratio, root = count // farthest, math.sqrt(count)

    def total(first: int, shifts: tuple[int, int]) -> float:
        k: Floats = np.arange(math.trunc(first / 4), math.trunc((ratio - 1) / 4) + 1, dtype=np.float64)
        upper, lower = (special.ndtr((4 * k + shift) * farthest / root) for shift in shifts)
        return float((upper - lower).sum())

    return 1 - total(1 - ratio, (1, -1)) + total(-3 - ratio, (3, 1))
