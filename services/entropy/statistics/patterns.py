"""How evenly patterns are spread, and how far apart they recur (SP 800-22, sections 2.9, 2.11 and 2.12)."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from services.entropy.statistics.outcome import Bits, Floats, Integers, Outcome, outcome, too_short, windows

SERIAL_WIDTH = 16
SERIAL_LEAST_BITS = 1 << (SERIAL_WIDTH + 3)
ENTROPY_WIDTH = 10
ENTROPY_LEAST_BITS = 1 << (ENTROPY_WIDTH + 6)
_EXPECTED = (5.2177052, 6.1962507, 7.1836656, 8.1764248, 9.1723243, 10.170032, 11.168765, 12.168070, 13.167693)
_VARIANCE = (2.954, 3.125, 3.238, 3.311, 3.356, 3.384, 3.401, 3.410, 3.416)
_UNIVERSAL = (387_840, 904_960, 2_068_480, 4_654_080, 10_342_400, 22_753_280, 49_643_520, 107_560_960, 231_669_760)
"""Least bits for blocks of 6, 7, … bits (section 2.9.7); mean and variance of the statistic above."""
_SHORTEST_BLOCK = 6


def circular_counts(bits: Bits, width: int) -> Integers:
    """How often each pattern of `width` bits (1 to 16) occurs, the sequence taken as a ring."""
    ring = np.concatenate((bits, bits[: width - 1]))
    counts: Integers = np.bincount(windows(ring, width), minlength=1 << width)
    return counts


def serial(bits: Bits) -> Outcome:
    """Patterns of 16 bits beside those of 15 and 14 (2.11)."""
    if len(bits) < SERIAL_LEAST_BITS:
        return too_short("Serial", SERIAL_LEAST_BITS, m=SERIAL_WIDTH)
    return outcome("Serial", serial_p(circular_counts(bits, SERIAL_WIDTH), SERIAL_WIDTH), m=SERIAL_WIDTH)


def serial_p(counts: Integers, width: int) -> tuple[float, float]:
    """The two p-values, from the counts of patterns of `width` bits; at least 2."""
    total = int(counts.sum())
    sums = []
    for bits in range(width, width - 3, -1):
        squares = float((counts.astype(np.float64) ** 2).sum())
        sums.append(squares * 2**bits / total - total if bits else 0.0)
        counts = shorter(counts)
    first, second = sums[0] - sums[1], sums[0] - 2 * sums[1] + sums[2]
    return (
        float(special.gammaincc(2.0 ** (width - 2), first / 2)),
        float(special.gammaincc(2.0 ** (width - 3), second / 2)),
    )


def approximate_entropy(bits: Bits) -> Outcome:
    """Patterns of 10 bits beside those of 11 (2.12)."""
    if len(bits) < ENTROPY_LEAST_BITS:
        return too_short("ApproximateEntropy", ENTROPY_LEAST_BITS, m=ENTROPY_WIDTH)
    counts = circular_counts(bits, ENTROPY_WIDTH + 1)
    return outcome("ApproximateEntropy", approximate_entropy_p(counts, ENTROPY_WIDTH), m=ENTROPY_WIDTH)


def approximate_entropy_p(counts: Integers, width: int) -> float:
    """The p-value, from the counts of patterns of `width` + 1 bits."""
    total = int(counts.sum())

    def phi(values: Integers) -> float:
        shares: Floats = values[values > 0] / total
        return float((shares * np.log(shares)).sum())

    chi_squared = 2 * total * (math.log(2) - (phi(shorter(counts)) - phi(counts)))
    return float(special.gammaincc(2.0 ** (width - 1), chi_squared / 2))


def shorter(counts: Integers) -> Integers:
    """The counts of patterns without their last bit."""
    pairs: Integers = counts.reshape(-1, 2).sum(1) if len(counts) > 1 else counts
    return pairs


def universal(bits: Bits) -> Outcome:
    """Maurer's test: how far apart equal blocks are (2.9)."""
    if len(bits) < _UNIVERSAL[0]:
        return too_short("Universal", _UNIVERSAL[0])
    index = sum(len(bits) >= least for least in _UNIVERSAL) - 1
    width = _SHORTEST_BLOCK + index
    learnt = 10 * 2**width
    count = len(bits) // width
    rows = bits[: count * width].reshape(count, width).astype(np.uint16)
    values = rows @ (np.uint16(1) << np.arange(width - 1, -1, -1, dtype=np.uint16))
    tested = count - learnt
    statistic = float(np.log2(distances(values)[learnt:]).sum()) / tested
    factor = 0.7 - 0.8 / width + (4 + 32 / width) * tested ** (-3 / width) / 15
    sigma = factor * math.sqrt(_VARIANCE[index] / tested)
    p_value = special.erfc(abs(statistic - _EXPECTED[index]) / (math.sqrt(2) * sigma))
    return outcome("Universal", p_value, L=width, Q=learnt)


def distances(values: Integers) -> Integers:
    """How long ago each value was seen last; where it never was, its own place, counted from 1."""
    order = np.argsort(values, kind="stable")
    arranged = values[order]
    back = order + 1
    again = np.flatnonzero(arranged[1:] == arranged[:-1]) + 1
    back[again] = order[again] - order[again - 1]
    found: Integers = np.empty_like(back)
    found[order] = back
    return found
