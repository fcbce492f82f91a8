"""What a backend's run of a program will be like: steps counted from its features, times measured seconds."""

from __future__ import annotations

import datetime as dt

from services.routing.catalogue import Backend, Catalogue, Kind
from services.routing.method import COMPARED_QUBITS, Method, memory_bytes, steps
from services.routing.program import Estimate, Features

IDEAL = 1.0
"""The fidelity of a simulation without noise and without truncation: exact, so its bounds are the same."""
_LONGEST = dt.timedelta(days=36_500)
_MOST_BYTES = 2**62


def predict(catalogue: Catalogue, backend: Backend, features: Features, shot_count: int) -> Estimate:
    """The estimate, for a program whose qubits the backend has."""
    if backend.kind is Kind.LIVE:
        return _of_machine(backend, features, shot_count)
    pace = catalogue.paces[backend.method]
    seconds = pace.seconds.times(steps(backend.method, features, shot_count))
    if backend.method is not Method.STATEVECTOR and features.qubit_count <= COMPARED_QUBITS and not features.dynamic:
        exact = catalogue.paces[Method.STATEVECTOR].seconds
        seconds += exact.times(steps(Method.STATEVECTOR, features, 0))
    total = seconds * features.circuit_count + features.classical_seconds
    return Estimate(
        duration_p50=_duration(total),
        duration_p90=_duration(total * pace.spread_p90),
        fidelity=IDEAL,
        fidelity_low=IDEAL,
        fidelity_high=IDEAL,
        price=backend.price(features.circuit_count, shot_count),
        memory_bytes=min(memory_bytes(backend.method, features), _MOST_BYTES),
    )


def _of_machine(backend: Backend, features: Features, shot_count: int) -> Estimate:
    """The estimate of a live run: its provider's times without the queue, and no promise of a fidelity."""
    machine = backend.machine
    seconds = machine.task_seconds + shot_count * machine.shot_seconds if machine is not None else 0.0
    duration = _duration(seconds * features.circuit_count + features.classical_seconds)
    return Estimate(
        duration_p50=duration,
        duration_p90=duration,
        fidelity=0.0,
        fidelity_low=0.0,
        fidelity_high=1.0,
        price=backend.price(features.circuit_count, shot_count),
        memory_bytes=0,
    )


def _duration(seconds: float) -> dt.timedelta:
    return dt.timedelta(seconds=seconds) if seconds < _LONGEST.total_seconds() else _LONGEST
