"""How often given patterns occur (SP 800-22, sections 2.7 and 2.8)."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from services.entropy.statistics.outcome import Bits, Floats, Integers, Outcome, outcome, too_short, windows

WIDTH = 9
BLOCKS = 8
LEAST_EXPECTED = 5
NON_OVERLAPPING_LEAST_BITS = BLOCKS * LEAST_EXPECTED * 2**WIDTH
OVERLAPPING_BLOCK = 1032
OVERLAPPING_LEAST_BITS = 1_000_000
_CLASSES = 6


@functools.cache
def aperiodic_templates(width: int) -> tuple[int, ...]:
    """The patterns of `width` bits that cannot overlap themselves, in ascending order: 148 of nine bits."""

    def overlaps(pattern: int, shift: int) -> bool:
        return pattern >> shift == pattern & ((1 << (width - shift)) - 1)

    return tuple(
        pattern for pattern in range(1 << width) if not any(overlaps(pattern, shift) for shift in range(1, width))
    )


def non_overlapping(bits: Bits) -> Outcome:
    """Occurrences of each aperiodic pattern of nine bits in eight blocks (2.7)."""
    if len(bits) < NON_OVERLAPPING_LEAST_BITS:
        return too_short("NonOverlappingTemplate", NON_OVERLAPPING_LEAST_BITS, m=WIDTH)
    templates = np.array(aperiodic_templates(WIDTH))
    return outcome("NonOverlappingTemplate", non_overlapping_p(bits, templates, WIDTH, BLOCKS), m=WIDTH, N=BLOCKS)


def non_overlapping_p(bits: Bits, templates: Integers, width: int, blocks: int) -> Floats:
    """A p-value for each template. They cannot overlap themselves, so every occurrence counts."""
    block = len(bits) // blocks
    mean = (block - width + 1) / 2**width
    variance = block * (2.0**-width - (2 * width - 1) * 2.0 ** (-2 * width))
    counts = np.stack(
        [
            np.bincount(windows(bits[start : start + block], width), minlength=1 << width)[templates]
            for start in range(0, blocks * block, block)
        ]
    )
    values: Floats = special.gammaincc(blocks / 2, ((counts - mean) ** 2 / variance).sum(0) / 2)
    return values


def overlapping(bits: Bits) -> Outcome:
    """Occurrences of nine ones, overlaps included, in blocks of 1,032 bits (2.8)."""
    if len(bits) < OVERLAPPING_LEAST_BITS:
        return too_short("OverlappingTemplate", OVERLAPPING_LEAST_BITS, m=WIDTH, M=OVERLAPPING_BLOCK)
    count = len(bits) // OVERLAPPING_BLOCK
    hits = windows(bits[: count * OVERLAPPING_BLOCK], WIDTH) == (1 << WIDTH) - 1
    rows = np.zeros((count, OVERLAPPING_BLOCK), np.bool_)
    rows.reshape(-1)[: len(hits)] = hits
    inside = OVERLAPPING_BLOCK - WIDTH + 1
    seen = np.bincount(np.minimum(rows[:, :inside].sum(1), _CLASSES - 1), minlength=_CLASSES)
    expected = count * _overlapping_probabilities(inside / 2 ** (WIDTH + 1))
    chi_squared = float(((seen - expected) ** 2 / expected).sum())
    return outcome(
        "OverlappingTemplate",
        special.gammaincc((_CLASSES - 1) / 2, chi_squared / 2),
        m=WIDTH,
        M=OVERLAPPING_BLOCK,
    )


def _overlapping_probabilities(eta: float) -> Floats:
    """P(0), … P(4), P(5 or more) occurrences in a block (section 3.8, compound Poisson)."""
    shares = [math.exp(-eta)]
    for count in range(1, _CLASSES - 1):
        terms = (math.comb(count - 1, k - 1) * eta**k / math.factorial(k) for k in range(1, count + 1))
        shares.append(math.exp(-eta) * 2.0**-count * sum(terms))
    return np.array([*shares, 1 - sum(shares)])
