"""Why a backend cannot take a program: unable by its nature, or unavailable for the moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.routing.catalogue import Backend, Kind
from services.routing.method import Method
from services.routing.program import Environment, Estimate, Features, Wish
from services.routing.wording import bytes_text, count_text, duration_text


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way."""

    reason: str
    """For people; follows the backend's name and a colon."""
    lasting: bool
    """Whether the backend could never run the program; else it is only unavailable."""
    excess_bits: float = 0.0
    """How far the program is past the limit, as log2 of the ratio: the least is the nearest to fitting."""


def incapacity(backend: Backend, features: Features) -> Obstacle | None:
    """Why a backend cannot hold a program, from its features alone."""
    if features.qubit_count > backend.qubit_count:
        reason = f"the program has {features.qubit_count} qubits and it takes {backend.qubit_count}"
        if backend.method is Method.STATEVECTOR:
            reason += f": the state would have {count_text(features.qubit_count)} amplitudes"
            return Obstacle(reason, lasting=True, excess_bits=float(features.qubit_count - backend.qubit_count))
        excess = math.log2(features.qubit_count / backend.qubit_count)
        return Obstacle(reason, lasting=True, excess_bits=excess)
    if backend.kind is Kind.LIVE:
        return _too_dynamic(features)
    if backend.method is Method.STABILIZER and not features.clifford:
        return Obstacle("the program has gates outside the Clifford group", lasting=True, excess_bits=math.inf)
    if backend.method is Method.MATRIX_PRODUCT_STATE and features.bond_bits > backend.bond_bits:
        reason = (
            f"the program may entangle its qubits up to the bond dimension {count_text(features.bond_bits)}, "
            f"and it takes {count_text(backend.bond_bits)}"
        )
        return Obstacle(reason, lasting=True, excess_bits=float(features.bond_bits - backend.bond_bits))
    return None


def _too_dynamic(features: Features) -> Obstacle | None:
    if not features.dynamic:
        return None
    reason = "a machine takes circuits here that measure once, at the end; simulators take the others"
    return Obstacle(reason, lasting=True, excess_bits=math.inf)


def overload(backend: Backend, estimate: Estimate) -> Obstacle | None:
    """Why a backend cannot afford a program that it could hold: memory or time."""
    if estimate.memory_bytes > backend.memory_bytes:
        needed, most = bytes_text(estimate.memory_bytes), bytes_text(backend.memory_bytes)
        reason = f"the run needs {needed} of memory and may take {most}"
        return Obstacle(reason, lasting=True, excess_bits=math.log2(estimate.memory_bytes / backend.memory_bytes))
    seconds = estimate.duration_p50.total_seconds()
    if seconds > backend.duration_seconds:
        needed, most = duration_text(seconds), duration_text(backend.duration_seconds)
        reason = f"the run would take about {needed} and may take {most}"
        return Obstacle(reason, lasting=True, excess_bits=math.log2(seconds / backend.duration_seconds))
    return None


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
