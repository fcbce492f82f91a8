"""What a backend's run of a program will be like: as its engine offers, or as its machine's provider says."""

from __future__ import annotations

import datetime as dt

from services.routing.catalogue import Backend, Machine
from services.routing.program import EngineOffer, Estimate, Wish

IDEAL = 1.0
"""The fidelity of a simulation without noise and without truncation: exact, so its bounds are the same."""
_LONGEST = dt.timedelta(days=36_500)


def of_engine(backend: Backend, offer: EngineOffer) -> Estimate:
    """The estimate of a simulation."""
    return Estimate(
        engine=offer.engine,
        duration_p50=offer.duration_p50,
        duration_p90=offer.duration_p90,
        fidelity=IDEAL,
        fidelity_low=IDEAL,
        fidelity_high=IDEAL,
        price=backend.price_micros,
        memory_bytes=offer.memory_bytes,
    )


def of_machine(backend: Backend, machine: Machine, wish: Wish) -> Estimate:
    """The estimate of a live run: its provider's times without the queue, and no promise of a fidelity."""
    features, shots = wish.features, wish.shot_count
    seconds = machine.task_seconds + shots * machine.shot_seconds
    duration = _duration(seconds * features.circuit_count + features.classical_seconds)
    return Estimate(
        engine=machine.provider,
        duration_p50=duration,
        duration_p90=duration,
        fidelity=0.0,
        fidelity_low=0.0,
        fidelity_high=1.0,
        price=backend.price(features.circuit_count, shots),
        memory_bytes=0,
    )


def _duration(seconds: float) -> dt.timedelta:
    return dt.timedelta(seconds=seconds) if seconds < _LONGEST.total_seconds() else _LONGEST
