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
_LEAST_INFIDELITY = 1e-9


class Method(StrEnum):
    """What a prediction rests on, the best first."""

    IDEAL_MIXTURE = "ideal_mixture"
    """The fitted circuit's errors, and its ideal distribution (mixture.py)."""
    KNOWN_STRUCTURE = "known_structure"
    """The same of a circuit that differs in angles alone."""
    SURROGATE = "surrogate"
    """The fitted circuit's errors alone: its ideal distribution is out of reach."""
    SUMMARY = "summary"
    """The circuit's size and the machine's typical errors (summary.py): it was not fitted, or not in time."""


class Surrogate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """F = exp(-readout * readout loss - gates * gate loss)."""

    readout: float
    gates: float

    def fidelity(self, profile: Profile) -> float:
        """The fidelity of a circuit whose ideal distribution is not known."""
        return math.exp(-self.readout * profile.readout_loss - self.gates * (profile.single_loss + profile.pair_loss))


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where 9 of 10 true infidelities lie: log(1 - F) against the predicted one."""

    low: Annotated[float, msgspec.Meta(le=0)]
    high: Annotated[float, msgspec.Meta(ge=0)]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fitted numbers."""

    version: str
    surrogate: Surrogate
    bands: dict[Method, Band]

    def __post_init__(self) -> None:
        """Refuse a model that leaves a method without bounds."""
        if missing := set(Method) - self.bands.keys():
            raise ValueError(f"the model has no band for {', '.join(sorted(missing))}")

    def bounds(self, fidelity: float, method: Method) -> tuple[float, float]:
        """Between which fidelities 9 of 10 runs come out."""
        band = self.bands[method]
        lost = max(1 - fidelity, _LEAST_INFIDELITY)
        return max(0.0, 1 - lost * math.exp(band.high)), 1 - lost * math.exp(band.low)


MODEL = msgspec.json.decode(MODEL_FILE.read_bytes(), type=Model)
