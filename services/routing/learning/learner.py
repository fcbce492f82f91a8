"""Learning: outcomes in, beliefs out. The same outcomes in the same order give the same beliefs. Pure."""

from __future__ import annotations

import datetime as dt
import math

from services.routing.learning.beliefs import Beliefs, fidelity_deviation, leverage, time_deviation
from services.routing.learning.effects import Effects, Prior
from services.routing.learning.lateness import Lateness
from services.routing.learning.outcome import Outcome
from services.routing.learning.sights import Sighting

RULES_VERSION = "3"
FIDELITY_PRIOR = Prior(
    spread=0.03,
    drift=0.2,
    place=0.1,
    place_drift=0.4,
    common=0.25,
    drifted=0.5,
    half_life=dt.timedelta(days=14),
)
TIME_PRIOR = Prior(spread=0.1, common=1.0, drifted=1.0, half_life=dt.timedelta(days=3))
_LEAST_DEVIATION = 0.005
"""Of a fidelity: no model and no number of shots is so good that a smaller residual would tell something."""
_LEAST_TIME_DEVIATION = 0.2


class Learner:
    """Folds outcomes into what is believed."""

    def __init__(self) -> None:
        """Begin without any outcome."""
        self._fidelity = Effects(FIDELITY_PRIOR)
        self._time = Effects(TIME_PRIOR)
        self._late = Lateness()
        self.count = 0
        """Outcomes that were learned from."""

    def learn(self, outcome: Outcome) -> None:
        """Take in one more outcome; the caller sees to it that none comes twice."""
        self.count += 1
        forecast = outcome.forecast
        if forecast is None or outcome.error_type is not None:
            return
        if outcome.promise is not None and outcome.queue:
            told, whole = outcome.promise.seconds_p50, outcome.queue_seconds + outcome.run_seconds
            self._late.observe(outcome.queue, outcome.queue_depth, outcome.engine, told=told, took=whole)
        known = forecast.fidelity_low < forecast.fidelity_high and 0 < forecast.fidelity < 1
        if (fidelity := outcome.measured_fidelity) is not None and known:
            self._fidelity.observe(
                outcome.backend_id,
                outcome.calibration_id,
                Sighting(
                    x=leverage(forecast.fidelity),
                    residual=forecast.fidelity - fidelity,
                    deviation=max(_LEAST_DEVIATION, fidelity_deviation(forecast)),
                    exposure=outcome.exposure,
                    time=outcome.end_time,
                ),
            )
        predicted, took = forecast.duration_p50.total_seconds(), outcome.engine_seconds
        if predicted > 0 and took:
            self._time.observe(
                (outcome.backend_id, outcome.engine),
                None,
                Sighting(
                    x=1.0,
                    residual=math.log(took / predicted),
                    deviation=max(_LEAST_TIME_DEVIATION, time_deviation(forecast)),
                    exposure=None,
                    time=outcome.end_time,
                ),
            )

    def beliefs(self, now: dt.datetime, learned_from: str) -> Beliefs:
        """What is believed now; `learned_from` names the outcomes and becomes part of the version."""
        return Beliefs(
            version=f"{RULES_VERSION}:{learned_from}",
            fidelity=self._fidelity.at(now),
            sights=self._fidelity.sights(),
            time=self._time.at(now),
            other_fidelity=self._fidelity.unknown,
            other_time=self._time.unknown,
            late=self._late.told(),
        )
