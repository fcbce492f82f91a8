"""Why a backend cannot take a program: unable by its nature, or unavailable for the moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mesh.wording import count_text
from services.routing.catalogue import Backend, Kind, Method
from services.routing.program import EngineOffer, Environment, Features, Wish

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
    if backend.kind is Kind.LIVE and wish.hardware != backend.backend_id:
        return Obstacle("a live machine runs what names it, and nothing else", lasting=False)
    if backend.machine is not None and backend.kind is Kind.LIVE and backend.owner is None:
        provider = backend.machine.provider
        return Obstacle(f"neither the team nor the operator has set credentials for {provider}", lasting=False)
    if not backend.online:
        return Obstacle("it is offline", lasting=False)
    return None
