"""Why a backend cannot take a program: unable by its nature, or unavailable for the moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mesh.wording import count_text, duration_text
from services.routing.catalogue import Backend, Kind, Method
from services.routing.objective import MICROS
from services.routing.program import EngineOffer, Environment, Estimate, Features, Wish

MOST_CIRCUITS = 300
"""Of one job on a machine, where each is paid for (services/execution/live/story.py)."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way."""

    reason: str
    """For people; follows the backend's name and a colon."""
    lasting: bool
    """Whether the backend could never run the program; else it is only unavailable."""
    excess_bits: float = 0.0
    """How far the program is past the limit, as log2 of the ratio: the least is the nearest to fitting."""
    field: str = ""
    """The caller's limit that is in the way, as a path of the request; empty where it is none of them."""


NO_ENGINE = Obstacle("no engine that may be used has its method", lasting=True, excess_bits=math.inf)


def incapacity(backend: Backend, features: Features) -> Obstacle | None:
    """Why a backend cannot hold a program, whatever its engine."""
    if features.qubit_count > backend.qubit_count:
        reason = f"the program has {features.qubit_count} qubits and it takes {backend.qubit_count}"
        if backend.method is Method.STATEVECTOR:
            reason += f": the state would have {count_text(features.qubit_count)} amplitudes"
            return Obstacle(reason, lasting=True, excess_bits=float(features.qubit_count - backend.qubit_count))
        return Obstacle(reason, lasting=True, excess_bits=math.log2(features.qubit_count / backend.qubit_count))
    if backend.calibration is not None and features.qubit_count > backend.calibration.working_qubit_count:
        most = backend.calibration.working_qubit_count
        reason = f"the program has {features.qubit_count} qubits and {most} of the machine's worked when calibrated"
        return Obstacle(reason, lasting=True, excess_bits=math.log2(features.qubit_count / most))
    return _beyond_machines(features) if backend.kind is Kind.LIVE else None


def _beyond_machines(features: Features) -> Obstacle | None:
    """Why no machine takes a program."""
    if features.circuit_count > MOST_CIRCUITS:
        reason = f"the job runs {features.circuit_count:,} circuits, and {MOST_CIRCUITS} are the most for a machine"
        return Obstacle(reason, lasting=True, excess_bits=math.log2(features.circuit_count / MOST_CIRCUITS))
    if not features.dynamic:
        return None
    reason = "a machine takes circuits here that measure once, at the end; simulators take the others"
    return Obstacle(reason, lasting=True, excess_bits=math.inf)


def refusal(offer: EngineOffer) -> Obstacle:
    """Why no engine can run a program by a method."""
    return Obstacle(offer.refusal, lasting=True, excess_bits=offer.excess_bits)


def absence(backend: Backend, wish: Wish) -> Obstacle | None:
    """Why a backend that could run the program does not take it now."""
    if backend.backend_id in wish.excluded:
        return Obstacle("it failed this job already", lasting=False)
    if backend.kind is Kind.LIVE and wish.environment is Environment.TEST:
        return Obstacle("test keys run on simulators and twins alone", lasting=False)
    if backend.machine is not None and backend.kind is Kind.LIVE and backend.owner is None:
        provider = backend.machine.provider
        return Obstacle(f"neither the team nor the operator has set credentials for {provider}", lasting=False)
    if not backend.online:
        return Obstacle(
            f"it is offline{f': {backend.offline_reason}' if backend.offline_reason else ''}", lasting=False
        )
    return None


def broken_limit(backend: Backend, estimate: Estimate, wish: Wish) -> Obstacle | None:
    """The caller's limit that a backend breaks, the one first that it is furthest from."""
    broken = [each for each in _broken(backend, estimate, wish) if each is not None]
    return max(broken, key=lambda each: each.excess_bits, default=None)


def _broken(backend: Backend, estimate: Estimate, wish: Wish) -> list[Obstacle | None]:
    objective = wish.objective
    least, deadline, most = objective.min_fidelity, objective.deadline, objective.max_price
    region = objective.residency
    return [
        None if not region or region in backend.residency else _abroad(backend, region),
        None if least is None or estimate.fidelity >= least else _too_noisy(estimate, least),
        None
        if deadline is None or estimate.duration_p90 <= deadline
        else _too_slow(estimate, deadline.total_seconds()),
        None if most is None or estimate.price <= most else _too_dear(estimate, most),
    ]


def _abroad(backend: Backend, region: str) -> Obstacle:
    places = " and ".join(backend.residency) or "a region that is not known"
    reason = f"it runs in {places}, and the program may not leave {region}"
    return Obstacle(reason, lasting=True, excess_bits=math.inf, field="routing.residency")


def _too_noisy(estimate: Estimate, least: float) -> Obstacle:
    reason = f"its fidelity is predicted to be {estimate.fidelity:.3f}, and at least {least:g} is asked for"
    return Obstacle(reason, lasting=True, excess_bits=_bits(least, estimate.fidelity), field="routing.min_fidelity")


def _too_slow(estimate: Estimate, most: float) -> Obstacle:
    seconds = estimate.duration_p90.total_seconds()
    reason = (
        f"one run in ten is predicted to take more than {duration_text(seconds)} with its queue, and "
        f"{duration_text(most)} is the deadline"
    )
    return Obstacle(reason, lasting=True, excess_bits=_bits(seconds, most), field="routing.deadline_seconds")


def _too_dear(estimate: Estimate, most: int) -> Obstacle:
    reason = f"it adds ${estimate.price / MICROS:,.2f} to the price, and ${most / MICROS:,.2f} is the most"
    return Obstacle(reason, lasting=True, excess_bits=_bits(estimate.price, most), field="routing.max_backend_cost_usd")


def _bits(value: float, limit: float) -> float:
    return math.log2(value / limit) if value > 0 and limit > 0 else math.inf
