"""What a backend's run of a program will be like: as its engine offers, or as its machine's provider says."""

from __future__ import annotations

import datetime as dt
import math

from services.routing.catalogue import Backend, Calibration, Machine
from services.routing.program import EngineOffer, Estimate, Features, Wish

IDEAL = 1.0
"""The fidelity of a simulation without noise and without truncation: exact, so its bounds are the same."""
_EXPONENTS = ((1.4, 2.0), (0.7, 0.65), (0.2, 0.15))
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

    s^p f^q, where s is the probability that no readout and no gate on one qubit errs, f the same for the gates on two:
    products of (1 - error) with the medians of the calibration, before the program is fitted to the machine. The
    exponents were fitted to 85 runs of GHZ, Fourier and brick circuits of 2 to 20 qubits on six machines
    (bench/twins.py --model, 2026-11-21): between low and high lie 9 of 10 of them, and the middle is off by 0.06.
    Programs of another kind may lie outside.
    """
    singles = features.gate_count - features.two_qubit_gate_count
    alone = math.log1p(-min(calibration.readout_error, _MOST)) * features.qubit_count
    alone += math.log1p(-min(calibration.single_qubit_error, _MOST)) * singles
    pairs = math.log1p(-min(calibration.two_qubit_error, _MOST)) * features.two_qubit_gate_count
    low, middle, high = (math.exp(p * alone + q * pairs) for p, q in _EXPONENTS)
    return low, middle, high


def of_machine(backend: Backend, machine: Machine, wish: Wish) -> Estimate:
    """The estimate of a live run: its provider's times without the queue, and the fidelity of its twin."""
    features, shots = wish.features, wish.shot_count
    low, middle, high = (0.0, 0.0, 1.0) if backend.calibration is None else fidelity(backend.calibration, features)
    seconds = machine.task_seconds + shots * machine.shot_seconds
    duration = _duration(seconds * features.circuit_count + features.classical_seconds)
    return Estimate(
        engine=machine.provider,
        duration_p50=duration,
        duration_p90=duration,
        fidelity=middle,
        fidelity_low=low,
        fidelity_high=high,
        price=backend.price(features.circuit_count, shots),
        memory_bytes=0,
    )


def _duration(seconds: float) -> dt.timedelta:
    return dt.timedelta(seconds=seconds) if seconds < _LONGEST.total_seconds() else _LONGEST
