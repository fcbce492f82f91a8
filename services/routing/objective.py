"""What a caller wants of a choice, and what that makes a prediction worth. Pure; the weights are data, in policy.toml.

The utility of a candidate is U = w_F F - w_T log10(1 + minutes) - w_P dollars, with the predicted fidelity F of 0 to 1,
the minutes of queue and run in the median, and the dollars that the backend adds to the algorithm's price.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from services.routing.catalogue import Kind

POLICY_FILE = Path(__file__).with_name("policy.toml")
MICROS = 1_000_000

Weight = Annotated[float, msgspec.Meta(ge=0, le=1000)]


class Preference(StrEnum):
    """What counts most."""

    BALANCED = "balanced"
    FIDELITY = "fidelity"
    TIME = "time"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Objective:
    """What counts, and limits that nothing may break."""

    prefer: Preference = Preference.BALANCED
    min_fidelity: float | None = None
    deadline: dt.timedelta | None = None
    """For queue and run, at the 90th percentile."""
    max_price: int | None = None
    """Micro-dollars that the backend may add."""
    residency: str = ""
    """The region that the program may not leave; empty for any."""
    kinds: tuple[Kind, ...] = ()
    """Among which "auto" chooses; empty for simulators alone."""
    explore: bool | None = None
    """Whether the choice may fall on a backend to learn of it; None where the caller says nothing."""

    @property
    def allowed(self) -> tuple[Kind, ...]:
        """The kinds among which "auto" chooses."""
        return self.kinds or (Kind.SIMULATOR,)


PLAIN = Objective()
"""A balanced choice among simulators."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each part of a prediction counts."""

    fidelity: Weight
    time: Weight
    price: Weight


@dataclass(frozen=True, slots=True)
class Worth:
    """The three terms of a utility."""

    fidelity: float
    time: float
    price: float

    @property
    def utility(self) -> float:
        """Their sum."""
        return self.fidelity + self.time + self.price


UNWEIGHED = Worth(0.0, 0.0, 0.0)


def worth(weights: Weights, fidelity: float, seconds: float, price: int) -> Worth:
    """What a prediction is worth; `price` in micro-dollars."""
    return Worth(
        fidelity=weights.fidelity * fidelity,
        time=-weights.time * math.log1p(seconds / 60) / math.log(10),
        price=-weights.price * price / MICROS,
    )


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator's part of a choice."""

    version: str
    """Changes with every change of a number."""
    weights: dict[Preference, Weights]
    priority_factor: Annotated[float, msgspec.Meta(ge=1, le=100)]
    """How many times as much time counts for a job that goes first in its queue."""
    prediction_seconds: Annotated[float, msgspec.Meta(gt=0, le=10)]
    """How long fitting a circuit to machines may take; what is not ready by then is known by its calibration alone."""
    live_queue_seconds: Annotated[float, msgspec.Meta(ge=0)]
    """The wait for a live machine, in the median, before its provider or an outcome has told one."""

    def __post_init__(self) -> None:
        """Refuse a policy without weights for a preference."""
        if missing := set(Preference) - set(self.weights):
            raise ValueError(f"there are no weights for {', '.join(sorted(missing))}")

    def weigh(self, prefer: Preference, *, priority: bool) -> Weights:
        """The weights of a preference and a priority."""
        weights = self.weights[prefer]
        if not priority:
            return weights
        return msgspec.structs.replace(weights, time=weights.time * self.priority_factor)
