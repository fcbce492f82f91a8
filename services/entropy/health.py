"""The health tests of SP 800-90B, section 4.4, on the raw bits of a source. Pure.

Both are made of every bit, before anything else is done with it. A cutoff is the least value that a source as good as
claimed reaches with probability 2^-30 or less at each bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.entropy.cutoff import WINDOW, proportion_cutoff, repetition_cutoff
from services.entropy.statistics.outcome import Bits


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
