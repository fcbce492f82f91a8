"""What routing knows of a program, and what a backend's run of it is predicted to be like."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from services.routing.objective import PLAIN, UNWEIGHED, Objective, Worth

AUTO = "auto"
"""The hardware of a wish that leaves the choice to routing."""


class Environment(StrEnum):
    """What the caller's key may touch."""

    LIVE = "live"
    TEST = "test"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Features:
    """The measures of a program's circuit."""

    qubit_count: int
    clbit_count: int
    depth: int
    gate_count: int
    two_qubit_gate_count: int
    clifford: bool
    dynamic: bool
    """It measures mid-circuit, resets or branches."""
    entanglement_bound: int
    """log2 of the Schmidt rank over any cut, at most; and so of the bond dimension of a matrix product state."""
    circuit_count: int = 1
    """Circuits that the job runs."""
    classical_seconds: float = 0.0
    """What the job takes besides running circuits, whatever the backend."""


@dataclass(frozen=True, slots=True)
class EngineOffer:
    """What an engine would take for the program by one method, or why none can run it so."""

    engine: str
    method: str
    duration_p50: dt.timedelta
    duration_p90: dt.timedelta
    memory_bytes: int
    comparison: str = ""
    """With the other engines of the method, for people; empty where there is none."""
    refusal: str = ""
    """For people; empty where it can."""
    excess_bits: float = 0.0
    """How far the program is past a limit, as log2 of the ratio."""
    line: str = ""
    """Where its job would wait, in the pool; empty where nobody said."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of routing."""

    hardware: str
    """A backend's name, or AUTO."""
    features: Features
    shot_count: int
    offers: tuple[EngineOffer, ...]
    """At most one for each method."""
    environment: Environment = Environment.LIVE
    excluded: frozenset[str] = frozenset()
    """Backends that failed this job already."""
    accounts: tuple[tuple[str, str], ...] = ()
    """The accounts that reach live machines, as provider and owner; a team's own stands before the operator's."""
    objective: Objective = PLAIN
    priority: bool = False
    """Whether the job goes first in its queue."""

    @property
    def named(self) -> bool:
        """Whether the caller named the backend."""
        return self.hardware != AUTO

    def offer(self, method: str) -> EngineOffer | None:
        """What is offered for a method."""
        return next((offer for offer in self.offers if offer.method == method), None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A prediction of one backend's run on one engine."""

    engine: str

    duration_p50: dt.timedelta
    """Queue and run."""
    duration_p90: dt.timedelta
    fidelity: float
    """Against the ideal distribution, 0 to 1; exactly 1 for an ideal simulator."""
    fidelity_low: float
    fidelity_high: float
    price: int
    """Micro-dollars on top of the algorithm's price."""
    memory_bytes: int
    forecast: Forecast | None = None
    """What the models said before it was corrected by what was learned; None where nothing corrected it."""
    queue_p50: dt.timedelta = dt.timedelta()
    """What of the time is waiting."""
    queue_p90: dt.timedelta = dt.timedelta()
    fidelity_method: str = "exact"
    calibration_id: str = ""
    """What the fidelity was predicted from; empty where there is no noise."""
    worth: Worth = UNWEIGHED

    @property
    def run_seconds(self) -> float:
        """What of the time is not waiting, in the median."""
        return (self.duration_p50 - self.queue_p50).total_seconds()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the models say of a run before outcomes correct it. Learning compares outcomes with this."""

    fidelity: float
    fidelity_low: float
    fidelity_high: float
    duration_p50: dt.timedelta
    """Without the queue."""
    duration_p90: dt.timedelta
