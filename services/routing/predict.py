"""What a backend's run of a program will be like: as its engine offers, or as its machine's provider says."""

from __future__ import annotations

import datetime as dt
import math

from services.routing.catalogue import Backend, Calibration, Machine
from services.routing.program import EngineOffer, Estimate, Features, Wish

IDEAL = 1.0
"""The fidelity of a simulation without noise and without truncation: exact, so its bounds are the same."""
_SPARSE = ((6.0, 1.0), (2.5, 0.75), (1.0, 0.3))
_CONNECTED = ((2.0, 1.0), (1.2, 0.75), (1.0, 0.3))
_MOST = 0.999_999
_LONGEST = dt.timedelta(days=36_500)


def of_engine(backend: Backend, offer: EngineOffer, wish: Wish) -> Estimate:
    """The estimate of a simulation."""
    low, middle, high = (IDEAL,) * 3 if backend.calibration is None else fidelity(backend.calibration, wish.features)
    return Estimate(
        engine=offer.engine,
        duration_p50=offer.duration_p50,
        duration_p90=offer.duration_p90,
        fidelity=middle,
        fidelity_low=low,
        fidelity_high=high,
        price=backend.price_micros,
        memory_bytes=offer.memory_bytes,
    )


def fidelity(calibration: Calibration, features: Features) -> tuple[float, float, float]:
    """The Hellinger fidelity of a noisy run against the ideal distribution: low, middle, high.

    The probability s that nothing errs is the product of (1 - error) over gates and readouts, with the medians of the
    calibration. Where qubits have to be moved about, a circuit has more gates once it is fitted than before: how many
    more is not known here, so that low, middle and high take different factors. Counts that noise has spread evenly
    still agree with the ideal ones in part, so that s is the lower end and its root a typical value.
    """
    factors = _CONNECTED if calibration.connected else _SPARSE
    singles = features.gate_count - features.two_qubit_gate_count
    free = math.log1p(-min(calibration.readout_error, _MOST)) * features.qubit_count
    free += math.log1p(-min(calibration.single_qubit_error, _MOST)) * singles
    pair = math.log1p(-min(calibration.two_qubit_error, _MOST)) * features.two_qubit_gate_count
    low, middle, high = (math.exp(share * (free + factor * pair)) for factor, share in factors)
    return low, middle, high


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
