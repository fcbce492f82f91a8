"""Programs to route, and offers for them."""

import datetime as dt
from typing import Any

import msgspec

from mesh.config import load
from services.routing import policy
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind
from services.routing.objective import POLICY_FILE, Policy
from services.routing.offer import offered
from services.routing.policy import Choice
from services.routing.program import EngineOffer, Features, Wish
from services.routing.question import Outlook, Question

POLICY = load(POLICY_FILE, Policy)


def features(qubit_count: int, **changes: Any) -> Features:
    """A shallow circuit that is not Clifford and entangles as much as its qubits allow."""
    known: dict[str, Any] = {
        "qubit_count": qubit_count,
        "clbit_count": qubit_count,
        "depth": 4,
        "gate_count": 20,
        "two_qubit_gate_count": 10,
        "clifford": False,
        "dynamic": False,
        "entanglement_bound": qubit_count,
    }
    return Features(**known | changes)


def offer(engine: str, method: str, milliseconds: float = 1.0, **changes: Any) -> EngineOffer:
    """An engine that would take so long, and half as long again in one run of ten."""
    p50 = dt.timedelta(milliseconds=milliseconds)
    known: dict[str, Any] = {"duration_p50": p50, "duration_p90": 1.5 * p50, "memory_bytes": 4096}
    return EngineOffer(engine, method, **known | changes)


def refused(engine: str, method: str, reason: str, excess_bits: float = 1.0) -> EngineOffer:
    """An engine that cannot run the program."""
    return offer(engine, method, 0, memory_bytes=0, refusal=reason, excess_bits=excess_bits)


def simulators() -> Catalogue:
    """The catalogue without its machines."""
    catalogue = load(CATALOGUE_FILE, Catalogue)
    backends = tuple(each for each in catalogue.backends if each.kind is Kind.SIMULATOR)
    return msgspec.structs.replace(catalogue, backends=backends)


def asked(catalogue: Catalogue, wish: Wish, **changes: Any) -> Question:
    """What a wish comes to where nothing is known but the catalogue; `changes` are of every outlook."""
    outlooks = tuple(Outlook(backend, **changes) for backend in offered(catalogue, wish))
    weights = POLICY.weigh(wish.objective.prefer, priority=wish.priority)
    return Question(wish, outlooks, weights, f"{POLICY.version}/{catalogue.version}")


def choose(catalogue: Catalogue, wish: Wish) -> Choice:
    """The choice where nothing is known but the catalogue."""
    return policy.choose(asked(catalogue, wish))
