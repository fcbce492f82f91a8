"""What a random walk visits between two returns to zero (SP 800-22, sections 2.14 and 2.15)."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from services.entropy.statistics.outcome import Bits, Integers, Outcome, outcome, too_short

LEAST_BITS = 1_000_000
LEAST_CYCLES = 500
STATES = (-4, -3, -2, -1, 1, 2, 3, 4)
VARIANT_STATES = (*range(-9, 0), *range(1, 10))
_CLASSES = 6


def excursions(bits: Bits) -> tuple[Outcome, Outcome]:
    """The random excursions test and its variant, which share the walk."""
    names = "RandomExcursions", "RandomExcursionsVariant"
    if len(bits) < LEAST_BITS:
        first, second = (too_short(name, LEAST_BITS) for name in names)
        return first, second
    walk = np.cumsum(bits.astype(np.int8) * np.int8(2) - np.int8(1), dtype=np.int64)
    cycles = int(np.count_nonzero(walk == 0)) + int(walk[-1] != 0)
    needed = max(LEAST_CYCLES, math.ceil(0.005 * math.sqrt(len(bits))))
    if cycles < needed:
        reason = f"the walk returns to zero {cycles:,} times; the test needs {needed:,}"
        return Outcome(names[0], (), {}, reason), Outcome(names[1], (), {}, reason)
    near = np.flatnonzero(np.abs(walk) <= VARIANT_STATES[-1])
    visited = walk[near]
    cycle = np.cumsum(visited == 0, dtype=np.int32)  # which excursion each visit belongs to
    return (
        outcome(names[0], [_excursion_p(cycle[visited == state], state, cycles) for state in STATES]),
        outcome(names[1], _variant_p(visited, cycles)),
    )


def _excursion_p(visits: Integers, state: int, cycles: int) -> float:
    """How often excursions visit a state 0, 1, … 4, 5 and more times, beside what is expected (section 3.14)."""
    often = np.bincount(np.minimum(np.bincount(visits, minlength=cycles)[:cycles], _CLASSES - 1), minlength=_CLASSES)
    stay = 1 - 1 / (2 * abs(state))
    leave = 1 / (4 * state * state)
    shares = [stay, *(leave * stay ** (k - 1) for k in range(1, _CLASSES - 1))]
    expected = cycles * np.array([*shares, (1 - stay) * stay ** (_CLASSES - 2)])
    chi_squared = float(((often - expected) ** 2 / expected).sum())
    return float(special.gammaincc((_CLASSES - 1) / 2, chi_squared / 2))


def _variant_p(visited: Integers, cycles: int) -> list[float]:
    """How often each state is visited in all (2.15)."""
    total = np.bincount(visited + VARIANT_STATES[-1], minlength=2 * VARIANT_STATES[-1] + 1)
    return [
        math.erfc(abs(int(total[state + VARIANT_STATES[-1]]) - cycles) / math.sqrt(2 * cycles * (4 * abs(state) - 2)))
        for state in VARIANT_STATES
    ]
