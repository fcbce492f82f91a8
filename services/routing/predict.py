"""What a backend's run of a program will be like: as its engine offers, or as its machine's provider says."""

from __future__ import annotations

import datetime as dt
import math

from services.routing.catalogue import Calibration, Kind, Machine
from services.routing.learning.beliefs import believed_fidelity, believed_times
from services.routing.objective import Weights, worth
from services.routing.program import EngineOffer, Estimate, Features, Forecast, Wish
from services.routing.question import NOTHING, Outlook, Prediction

MEDIANS = "medians"
"""The method of a fidelity that was predicted from the medians of a calibration, without fitting the circuit."""
_EXACT = Prediction(1.0, 1.0, 1.0, "exact", "")
_UNKNOWN = Prediction(0.0, 0.0, 1.0, "unknown", "")
_EXPONENTS = ((1.4, 2.0), (0.7, 0.65), (0.2, 0.15))
_MOST = 0.999_999
_NO_TIME = dt.timedelta()
_LONGEST = 36_500 * 86_400.0


def of_engine(outlook: Outlook, offer: EngineOffer, wish: Wish, weights: Weights) -> Estimate:
    """The estimate of a simulation."""
    p50, p90 = offer.duration_p50, offer.duration_p90
    return _estimate(outlook, wish, weights, engine=offer.engine, p50=p50, p90=p90, memory=offer.memory_bytes)


def of_machine(outlook: Outlook, machine: Machine, wish: Wish, weights: Weights) -> Estimate:
    """The estimate of a live run: its provider's times, and the fidelity of its twin."""
    each = machine.task_seconds + wish.shot_count * machine.shot_seconds
    time = _duration(each * wish.features.circuit_count + wish.features.classical_seconds)
    return _estimate(outlook, wish, weights, engine=machine.provider, p50=time, p90=time, memory=0)


def fidelity_of(outlook: Outlook, features: Features) -> Prediction:
    """What a model says of the circuit; without it what the medians say, or nothing does."""
    backend = outlook.backend
    if outlook.prediction is not None:
        return outlook.prediction
    if backend.calibration is not None:
        low, middle, high = fidelity(backend.calibration, features)
        return Prediction(middle, low, high, MEDIANS, backend.calibration.calibration_id)
    return _UNKNOWN if backend.kind is Kind.LIVE else _EXACT


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


def _estimate(  # noqa: PLR0913 - what differs between a simulation and a machine
    outlook: Outlook, wish: Wish, weights: Weights, *, engine: str, p50: dt.timedelta, p90: dt.timedelta, memory: int
) -> Estimate:
    found = fidelity_of(outlook, wish.features)
    price = outlook.backend.price(wish.features.circuit_count, wish.shot_count)
    queue_p50, queue_p90 = _duration(outlook.queue_seconds), _duration(outlook.queue_p90_seconds)
    value, low, high, forecast = found.value, found.low, found.high, None
    if outlook.fidelity_effect != NOTHING or outlook.time_effect != NOTHING:
        forecast = Forecast(value, low, high, p50, p90)
        value, low, high = believed_fidelity(outlook.fidelity_effect, forecast)
        p50, p90 = believed_times(outlook.time_effect, forecast)
    middle = queue_p50 + p50
    return Estimate(
        engine=engine,
        duration_p50=middle,
        duration_p90=queue_p90 + p90 if outlook.late is None else middle * outlook.late,
        queue_p50=queue_p50,
        queue_p90=queue_p90,
        fidelity=value,
        fidelity_low=low,
        fidelity_high=high,
        fidelity_method=found.method,
        calibration_id=found.calibration_id,
        price=price,
        memory_bytes=memory,
        forecast=forecast,
        worth=worth(weights, value, middle.total_seconds(), price),
    )


def _duration(seconds: float) -> dt.timedelta:
    return _NO_TIME if seconds == 0 else dt.timedelta(seconds=min(seconds, _LONGEST))
