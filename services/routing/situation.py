"""The situation: all that routing knows at the moment, and the question that it makes of what is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import randbits

import msgspec

from mesh.telemetry import log
from services.routing.catalogue import Backend, BackendId, Calibration, Catalogue, Kind
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.exploration import may_explore
from services.routing.learning.lateness import late
from services.routing.objective import Policy
from services.routing.offer import offered
from services.routing.program import Wish
from services.routing.question import Outlook, Prediction, Question
from services.routing.standing import Standings, queue_of
from services.routing.waiting import Wait

Predict = Callable[[bytes, Sequence[Backend], int, float], Awaitable[tuple[Mapping[BackendId, Prediction], bool]]]
"""Predicts the fidelity of a circuit on machines, for a number of shots and within some seconds, and says whether that
is settled: no better prediction is being worked on."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The backends for a wish, and their fidelities as far as they are predicted."""

    backends: Sequence[Backend]
    predictions: Mapping[BackendId, Prediction]
    settled: bool
    """Whether who asks next hears the same: no better prediction is being worked on."""
    unseen: bool
    """Whether machines are among them, and nobody could show them the circuit."""


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

    def plain(self, wish: Wish, team_id: str = "") -> Question:
        """The question that a team's wish among simulators comes to."""
        return self.question(wish, Expected(self._simulators, {}, settled=True, unseen=False), team_id)

    async def expected(self, wish: Wish, circuit: bytes) -> Expected:
        """Who is looked at for a wish, and what is predicted of them. Raises what `offered` raises.

        `circuit` is empty where it is not known.
        """
        backends = [self._calibrated(backend) for backend in offered(self.catalogue, wish)]
        noisy = [each for each in backends if each.calibration is not None and self._is_open(each, wish)]
        predictions: Mapping[BackendId, Prediction] = {}
        settled = True
        unseen = bool(noisy) and not circuit
        if circuit and noisy and self.predict is not None:
            try:
                predictions, settled = await self.predict(
                    circuit, noisy, wish.shot_count, self.policy.prediction_seconds
                )
            except ValueError as error:
                log.warning("prediction_refused", reason=str(error))
        return Expected(backends, predictions, settled, unseen)

    def question(self, wish: Wish, expected: Expected, team_id: str = "") -> Question:
        """The question that a team's wish comes to; how long it waits depends on its turn."""
        wanted, simulated = wish.objective.explore, expected.backends is self._simulators
        explores = not simulated and wanted is not False and may_explore(wish.environment, allowed=wanted is True)
        known = _Known(self, wish, expected.predictions, team_id)
        return Question(
            wish=wish,
            outlooks=tuple([known.outlook(backend) for backend in expected.backends]),
            weights=self.policy.weigh(wish.objective.prefer, priority=wish.priority),
            policy_version=f"{self.policy.version}/{self.catalogue.version}",
            model_version=self.model_version if expected.predictions else "",
            beliefs_version=known.beliefs.version,
            explores=explores,
            draw=randbits(53) if explores else 0,
            unseen=expected.unseen,
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


class _Known:
    """What is known at one moment of what a wish may run on; what backends share is looked up once."""

    def __init__(
        self, situation: Situation, wish: Wish, predictions: Mapping[BackendId, Prediction], team_id: str
    ) -> None:
        self.beliefs = situation.beliefs()
        self._standings = situation.standings
        self._predictions = predictions
        self._team_id = team_id
        self._offers = {offer.method: offer for offer in reversed(wish.offers)}
        self._lines: dict[str, tuple[Wait, int | None]] = {}
        self._late: dict[tuple[str, str | None], float | None] = {}

    def outlook(self, backend: Backend) -> Outlook:
        """A backend's prospects."""
        beliefs, offer = self.beliefs, self._offers.get(backend.method)
        line = offer.line if offer else ""
        queue = queue_of(backend, line)
        if queue not in self._lines:
            place = (backend, line, self._team_id)
            self._lines[queue] = self._standings.wait(*place), self._standings.depth(*place)
        wait, depth = self._lines[queue]
        live = backend.machine if backend.kind is Kind.LIVE else None
        engine = live.provider if live else offer.engine if offer else None
        if (queue, engine) not in self._late:
            self._late[queue, engine] = late(beliefs.late, queue, depth or 0, engine) if engine else None
        prediction = self._predictions.get(backend.backend_id)
        return Outlook(
            backend=self._standings.now(backend),
            prediction=prediction,
            queue_seconds=wait.p50,
            queue_p90_seconds=wait.p90,
            queue_depth=depth,
            queue=queue,
            fidelity_effect=beliefs.effect_on(backend.backend_id, prediction.exposure if prediction else None),
            time_effect=beliefs.time.get((backend.backend_id, engine), beliefs.other_time),
            late=self._late[queue, engine],
        )
