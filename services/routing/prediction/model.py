"""From what errs to a fidelity with its bounds: the numbers that were fitted, which are data (model.json).

model.md beside it is the data sheet: what they were fitted to, when, and how.
"""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from services.routing.prediction.profile import Profile

MODEL_FILE = Path(__file__).with_name("model.json")
SOFTENING = 0.002
"""An infidelity below this says little about a ratio."""


class Method(StrEnum):
    """What a prediction rests on, the best first."""

    DENSITY_MATRIX = "density_matrix"
    """The fitted circuit, simulated with the errors of every gate (noisy.py)."""
    IDEAL_MIXTURE = "ideal_mixture"
    """The fitted circuit's errors, and its ideal distribution (mixture.py)."""
    KNOWN_STRUCTURE = "known_structure"
    """The same of a circuit that differs in angles alone."""
    SURROGATE = "surrogate"
    """The fitted circuit's errors alone: its ideal distribution is out of reach."""
    SUMMARY = "summary"
    """The circuit's size and the machine's typical errors (summary.py): it was not fitted, or not in time."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the losses of a profile are multiplied by: 1 where a machine errs just as its calibration says."""

    pair: float
    single: float
    readout: float
    seen: float
    """The share of errors that is seen, for circuits too wide to draw theirs."""


class Surrogate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """F = exp(-readout * readout loss - gates * gate loss)."""

    readout: float
    gates: float

    def fidelity(self, profile: Profile) -> float:
        """The fidelity of a circuit whose ideal distribution is not known."""
        return math.exp(-self.readout * profile.readout_loss - self.gates * profile.gate_loss)


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where 9 of 10 true infidelities lie: log((1 - F + d) / (1 - predicted + d)), d = SOFTENING."""

    method: Method
    stale: bool
    """Whether the run comes long after the calibration, or on the same day."""
    most: float
    """The largest predicted infidelity that this band is for; the first of those that hold is taken."""
    low: Annotated[float, msgspec.Meta(le=0)]
    high: Annotated[float, msgspec.Meta(ge=0)]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fitted numbers."""

    version: str
    weights: Weights
    surrogate: Surrogate
    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        """Refuse a model that leaves a prediction without bounds."""
        covered = {(band.method, band.stale) for band in self.bands if band.most >= 1}
        if missing := {(method, stale) for method in Method for stale in (False, True)} - covered:
            raise ValueError(f"the model has no band for {', '.join(sorted(method for method, _ in missing))}")

    def bounds(self, fidelity: float, method: Method, *, staleness: float) -> tuple[float, float]:
        """Between which fidelities 9 of 10 runs come out.

        `staleness` is 0 on the day of the calibration, 1 where machines have drifted as far as they do; in between the
        squares of the edges are interpolated, as the variance of a random walk grows with time.
        """
        lost = 1 - fidelity
        fresh, stale = (self._band(method, lost, stale=each) for each in (False, True))
        below, above = (
            math.sqrt((1 - staleness) * new**2 + staleness * old**2)
            for new, old in ((fresh.low, stale.low), (fresh.high, stale.high))
        )
        least, most = ((lost + SOFTENING) * math.exp(edge) - SOFTENING for edge in (-below, above))
        return min(max(0.0, 1 - most), fidelity), max(min(1.0, 1 - least), fidelity)

    def _band(self, method: Method, lost: float, *, stale: bool) -> Band:
        return next(each for each in self.bands if each.method is method and each.stale is stale and lost <= each.most)


MODEL = msgspec.json.decode(MODEL_FILE.read_bytes(), type=Model)
