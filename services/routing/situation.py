"""The situation: all that routing knows at the moment, and the question that it makes of what is asked."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import randbits

import msgspec

from mesh.telemetry import log
from services.routing.catalogue import Backend, BackendId, Calibration, Catalogue, Kind
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.exploration import may_explore
from services.routing.objective import Policy
from services.routing.offer import offered
from services.routing.program import Wish
from services.routing.question import Outlook, Prediction, Question
from services.routing.standing import Standings

Predict = Callable[[bytes, Sequence[Backend], int, float], Awaitable[Mapping[BackendId, Prediction]]]
"""Predicts the fidelity of a circuit on machines, for a number of shots and within some seconds."""


@dataclass(slots=True)
class Situation:
    """What a choice is made from, but for the wish itself."""

    catalogue: Catalogue
    policy: Policy
    standings: Standings
    predict: Predict | None = None
    """None where nothing fits circuits to machines: then they are known by the medians of their calibrations."""
    model_version: str = ""
    beliefs: Callable[[], Beliefs] = Beliefs
    """What was learned from outcomes, at the moment."""
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    """The newest of each machine, where it is newer than what its twin simulates."""
    _simulators: tuple[Backend, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Sort out those among which most choices are made."""
        self._simulators = tuple(each for each in self.catalogue.backends if each.kind is Kind.SIMULATOR)

    def version(self, now: dt.datetime) -> tuple[object, ...]:
        """Equal while a question about simulators has the same answer."""
        return (self.standings.version, self.beliefs().version, now.replace(second=0, microsecond=0))

    def plain(self, wish: Wish) -> Question:
        """The question that a wish among simulators comes to."""
        return self._question(wish, self._simulators, {})

    async def question(self, wish: Wish, circuit: bytes) -> tuple[Question, bool]:
        """The question that a wish comes to, and whether it is settled: no prediction is still being worked on.

        `circuit` is empty where it is not known. Raises what `offered` raises.
        """
        backends = [self._calibrated(backend) for backend in offered(self.catalogue, wish)]
        noisy = [each for each in backends if each.calibration is not None and self._is_open(each, wish)]
        predictions: Mapping[BackendId, Prediction] = {}
        began = time.monotonic()
        if circuit and noisy and self.predict is not None:
            try:
                predictions = await self.predict(circuit, noisy, wish.shot_count, self.policy.prediction_seconds)
            except ValueError as error:
                log.warning("prediction_refused", reason=str(error))
        settled = time.monotonic() - began < self.policy.prediction_seconds
        return self._question(wish, backends, predictions), settled

    def _question(
        self, wish: Wish, backends: Sequence[Backend], predictions: Mapping[BackendId, Prediction]
    ) -> Question:
        wanted, simulated = wish.objective.explore, backends is self._simulators
        explores = not simulated and wanted is not False and may_explore(wish.environment, allowed=wanted is True)
        return Question(
            wish=wish,
            outlooks=tuple([self._outlook(backend, wish, predictions) for backend in backends]),
            weights=self.policy.weigh(wish.objective.prefer, priority=wish.priority),
            policy_version=f"{self.policy.version}/{self.catalogue.version}",
            model_version=self.model_version if predictions else "",
            beliefs_version=self.beliefs().version,
            explores=explores,
            draw=randbits(53) if explores else 0,
        )

    def _outlook(self, backend: Backend, wish: Wish, predictions: Mapping[BackendId, Prediction]) -> Outlook:
        beliefs, wait = self.beliefs(), self.standings.wait(backend)
        offer = wish.offer(backend.method)
        engine = backend.machine.provider if backend.kind is Kind.LIVE and backend.machine else offer and offer.engine
        return Outlook(
            backend=self.standings.now(backend),
            prediction=predictions.get(backend.backend_id),
            queue_seconds=wait.p50,
            queue_p90_seconds=wait.p90,
            queue_depth=self.standings.depth(backend),
            fidelity_effect=beliefs.fidelity.get(backend.backend_id, beliefs.other_fidelity),
            time_effect=beliefs.time.get((backend.backend_id, engine), beliefs.other_time),
        )

    def _calibrated(self, backend: Backend) -> Backend:
        """A live machine with its newest calibration; a twin simulates its own."""
        newest = self.calibrations.get(backend.backend_id) if backend.kind is Kind.LIVE else None
        return backend if newest is None else msgspec.structs.replace(backend, calibration=newest)

    def _is_open(self, backend: Backend, wish: Wish) -> bool:
        """Whether fitting the circuit to a machine may tell anything: it is not out of the question already."""
        calibration = backend.calibration
        fits = calibration is not None and wish.features.qubit_count <= calibration.working_qubit_count
        return fits and backend.backend_id not in wish.excluded and self.standings.now(backend).online
