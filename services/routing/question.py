"""All that a choice is made from: what was asked, and what was known of each backend then. Kept for replays. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.routing.catalogue import Backend
from services.routing.exposure import Exposure
from services.routing.learning.effects import Effect
from services.routing.objective import Objective, Weights
from services.routing.program import Wish

NOTHING = Effect(0.0, 0.0, 1.0)
"""The effect of a backend that does as predicted."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A fidelity that a model predicts, with its interval of 90 %."""

    value: float
    low: float
    high: float
    method: str
    calibration_id: str
    exposure: Exposure | None = None
    """The places that the circuit was fitted to; None where it was not."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A backend as this caller may use it, and what is known of it beyond what its engine offers."""

    backend: Backend
    prediction: Prediction | None = None
    """None where nothing was predicted for the circuit: a simulator is exact, a machine is known by its medians."""
    queue_seconds: float = 0.0
    """The wait for a worker, or for the machine, in the median."""
    queue_p90_seconds: float = 0.0
    """That wait, at the 90th percentile."""
    queue_depth: int | None = None
    """The jobs that were before one of this team; None where nobody had said."""
    queue: str = ""
    """Where it would wait (standing.py)."""
    fidelity_effect: Effect = NOTHING
    """What outcomes say of its errors beside those of its calibration."""
    time_effect: Effect = NOTHING
    """What they say of how long its runs take beside what was predicted."""
    late: float | None = None
    """How many times its median a job's whole time is at the 90th percentile; None where too little is known."""

    @property
    def exposure(self) -> Exposure | None:
        """Where on the machine the circuit would run, as far as that is known."""
        return self.prediction.exposure if self.prediction else None


@dataclass(frozen=True, slots=True)
class Question:
    """What a choice is made from."""

    wish: Wish
    outlooks: tuple[Outlook, ...]
    """In the order of the catalogue."""
    weights: Weights
    policy_version: str
    model_version: str = ""
    """Of what predicted fidelities; empty where nothing did."""
    beliefs_version: str = "none"
    """Of what was learned from outcomes."""
    explores: bool = False
    """Whether the choice may fall on a backend to learn of it."""
    draw: int = 0
    """The seed of that lot."""
    unseen: bool = False
    """Whether nobody could show the circuit, so that machines are known for it by their medians alone."""

    def by(self, objective: Objective | None, weights: Weights | None) -> Question:
        """The same question by another objective and other weights; None leaves them. Nothing is explored then."""
        if objective is None and weights is None:
            return self
        wish = self.wish if objective is None else replace(self.wish, objective=objective)
        return replace(self, wish=wish, weights=weights or self.weights, explores=False)
