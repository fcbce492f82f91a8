"""Drift: a machine no longer does what is predicted of it. Two-sided CUSUM (Page, Biometrika 41, 1954). Pure.

Each residual is divided by its predicted standard deviation. While all is well the sums stay near zero; after a jump of
one standard deviation they pass the threshold within about 20 residuals, after one of two within about 7. Without a
jump, normal residuals pass it once in about 70,000 (Siegmund's approximation, Sequential Analysis, 1985, both sides).
"""

from __future__ import annotations

from dataclasses import dataclass

ALLOWANCE = 0.5
"""What a residual may be off without adding to a sum: half the jump that is looked for, in standard deviations."""
THRESHOLD = 10.0
CLIP = 4.0
"""One wild residual is not a drift."""


@dataclass(frozen=True, slots=True)
class Cusum:
    """The sums of one machine."""

    worse: float = 0.0
    better: float = 0.0

    def after(self, residual: float) -> Cusum:
        """The sums after another residual, in standard deviations; positive where it did worse than predicted."""
        clipped = max(-CLIP, min(CLIP, residual))
        return Cusum(max(0.0, self.worse + clipped - ALLOWANCE), max(0.0, self.better - clipped - ALLOWANCE))

    @property
    def drifted(self) -> bool:
        """Whether a sum has passed the threshold."""
        return max(self.worse, self.better) > THRESHOLD
