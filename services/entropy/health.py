"""The health tests of SP 800-90B, section 4.4, on the raw bits of a source. Pure.

Both are made of every bit, before anything else is done with it. A cutoff is the least value that a source as good as
claimed reaches with probability 2^-30 or less at each bit.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from services.entropy.statistics.outcome import Bits

ALPHA_BITS = 30
"""The false-positive probability is 2^-30, within the range that section 4.3 recommends."""
WINDOW = 1024
"""Bits of the adaptive proportion test for binary sources (4.4.2)."""


def repetition_cutoff(min_entropy: float) -> int:
    """1 + ⌈30 / H⌉ equal bits in a row (4.4.1); H is what a bit is claimed to be worth, in bits."""
    return 1 + math.ceil(ALPHA_BITS / min_entropy)


@functools.cache
def proportion_cutoff(min_entropy: float) -> int:
    """How often the first bit of a window may not occur in it (4.4.2): 1 + CRITBINOM(W, 2^-H, 1 - 2^-30)."""
    more = special.bdtrc(np.arange(WINDOW), WINDOW, 2.0**-min_entropy)  # P(more than k), for each k
    return 1 + int(np.argmax(more <= 2.0**-ALPHA_BITS))


@dataclass(frozen=True, slots=True)
class Health:
    """What the two tests saw."""

    longest_run: int
    repetition_cutoff: int
    highest_count: int
    proportion_cutoff: int

    @property
    def failure(self) -> str:
        """What failed, for people; empty where nothing did."""
        if self.longest_run >= self.repetition_cutoff:
            return f"repetition count test: {self.longest_run} equal bits in a row, of {self.repetition_cutoff} allowed"
        if self.highest_count >= self.proportion_cutoff:
            return (
                f"adaptive proportion test: a bit came {self.highest_count} times in {WINDOW}, "
                f"of {self.proportion_cutoff} allowed"
            )
        return ""


def check_health(bits: Bits, min_entropy: float) -> Health:
    """Both tests over a whole chunk, of at least one window."""
    return Health(
        _longest_run(bits), repetition_cutoff(min_entropy), _highest_count(bits), proportion_cutoff(min_entropy)
    )


def _longest_run(bits: Bits) -> int:
    changes = np.flatnonzero(bits[1:] != bits[:-1]) + 1
    return int(np.diff(np.concatenate(([0], changes, [len(bits)]))).max())


def _highest_count(bits: Bits) -> int:
    rows = bits[: len(bits) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return int((rows == rows[:, :1]).sum(1).max())
