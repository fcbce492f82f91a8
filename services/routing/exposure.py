"""Where on its machine a circuit runs: which places its fidelity depends on, and by how much. Pure."""

from __future__ import annotations

from dataclasses import dataclass

Place = tuple[int, ...]
"""A qubit's own gates (q,), the gates between two (a, b) with a < b, or the reading of one (q, q)."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a run is exposed to."""

    places: tuple[tuple[Place, float], ...]
    """The share of each place in all that is predicted to go wrong, 0 to 1; together 1, less what was too small."""
    staleness: float = 0.0
    """How much of what machines drift this one has since its calibration, 0 to 1; 0 for a twin."""
