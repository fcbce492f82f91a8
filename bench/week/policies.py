"""Policies for the simulated week: ours as it runs, and those that do not learn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from uuid import UUID

from bench.week.machines import MODEL_ERROR, START, Job, Site, fidelity, seconds
from mesh.config import load
from services.routing.catalogue import Backend, BackendId, Catalogue, Kind
from services.routing.decision import DecisionId, JobId
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import MEASURED, Outcome, Promise
from services.routing.objective import POLICY_FILE, Objective, Policy, Preference, worth
from services.routing.policy import choose
from services.routing.program import Estimate, Wish
from services.routing.question import Prediction
from services.routing.situation import Situation
from services.routing.standing import Report, Standings, queue_of

POLICY = load(POLICY_FILE, Policy)
WEIGHTS = POLICY.weigh(Preference.BALANCED, priority=False)
EXPLORING = 0.1
"""The part of the callers who let their jobs be sent where something may be learned."""
_NORMAL_95 = 1.6449
_ACCOUNTS = tuple((provider, "operator") for provider in ("ibm", "aws", "ionq"))


@dataclass(slots=True)
class View:
    """What every policy is told of a machine, at most five minutes old."""

    backend: Backend
    place: int
    depth: int
    online: bool
    price_factor: float
    told: float
    """The factor on its errors by its newest calibration."""
    calibration: float
    """When that was measured."""

    def price(self, job: Job) -> float:
        """Dollars that a job costs there."""
        own = self.backend.price(job.features.circuit_count, job.shots)
        return own * self.price_factor / 1e6

    def predicted(self, job: Job) -> float:
        """The fidelity that the model predicts: as the calibration tells the errors, and a little off."""
        told = fidelity(self.backend, job.features, self.told)
        return min(0.9999, max(0.0001, told + MODEL_ERROR * float(job.misjudged[self.place])))


Views = Mapping[str, View]
Pick = Callable[[Job, Views, frozenset[str]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A job as it was sent to a machine."""

    decision_id: DecisionId
    estimate: Estimate
    queue: str
    queue_depth: int


class Ours:
    """The policy, standings and beliefs of services/routing, on the clock of the week."""

    def __init__(self, sites: Sequence[Site], seed: int, *, learns: bool = True) -> None:
        """Begin without any outcome; without `learns` outcomes tell of queues and faults alone."""
        self.now = START
        self.explored = 0
        self._learns = learns
        self._random = Random(seed)
        self._numbers = count()
        self._backends = {site.backend.backend_id: site.backend for site in sites}
        self._standings = Standings(live_queue_seconds=POLICY.live_queue_seconds, clock=lambda: self.now)
        self._learner = Learner()
        self._beliefs = self._learner.beliefs(START, "none")
        self._told: dict[BackendId, Prediction] = {}
        self._situation = Situation(
            Catalogue(version="week", backends=tuple(self._backends.values())),
            POLICY,
            self._standings,
            predict=self._predict,
            model_version="week",
            beliefs=lambda: self._beliefs,
        )
        self.decision: Sent | None = None

    async def __call__(self, job: Job, views: Views, excluded: frozenset[str]) -> str:
        """The machine for a job."""
        self._told = {name: self._prediction(view, job) for name, view in views.items()}
        wish = Wish(
            hardware="auto",
            features=job.features,
            shot_count=job.shots,
            offers=(),
            excluded=excluded,
            accounts=_ACCOUNTS,
            objective=Objective(kinds=(Kind.LIVE,), explore=self._random.random() < EXPLORING),
        )
        question = self._situation.question(wish, await self._situation.expected(wish, b"circuit"))
        choice = choose(replace(question, draw=self._random.getrandbits(53)))
        decision = DecisionId(str(UUID(int=next(self._numbers))))
        depth = self._standings.depth(choice.backend) or 0
        self._standings.took(choice.backend)
        self.decision = Sent(decision, choice.estimate, queue_of(choice.backend), depth)
        self.explored += choice.explored
        return choice.backend.backend_id

    def report(self, views: Views) -> None:
        """Hear what providers say."""
        for name, view in views.items():
            machine = view.backend.machine
            assert machine is not None
            report = Report(
                time=self.now,
                queue_depth=view.depth,
                online=view.online,
                task_price=round((machine.task_price_micros or 0) * view.price_factor),
                shot_price=round(machine.shot_price_micros * view.price_factor),
            )
            self._standings.report(name, report)

    def learn(self, outcome: Outcome) -> None:
        """Hear how a job ended."""
        self._standings.learn(outcome)
        if self._learns:
            self._learner.learn(outcome)

    def believe(self) -> None:
        """Take what was learned into the next choices."""
        self._beliefs = self._learner.beliefs(self.now, f"{self._learner.count}")

    async def _predict(
        self, _circuit: bytes, backends: Sequence[Backend], _shots: int, _seconds: float
    ) -> tuple[dict[BackendId, Prediction], bool]:
        return {backend.backend_id: self._told[backend.backend_id] for backend in backends}, True

    def _prediction(self, view: View, job: Job) -> Prediction:
        value, half = view.predicted(job), _NORMAL_95 * MODEL_ERROR
        calibration = f"{view.backend.backend_id}@{view.calibration:.0f}"
        return Prediction(value, max(0.0, value - half), min(1.0, value + half), "model", calibration)


def outcome_of(sent: Sent, name: str, times: tuple[float, float, float], measured: float | None) -> Outcome:
    """How a job ended that came, began and ended at these seconds of the week; None for one that was refused."""
    came, began, ended = times
    estimate = sent.estimate
    return Outcome(
        job_id=JobId(sent.decision_id),
        decision_id=sent.decision_id,
        backend_id=name,
        engine=estimate.engine,
        calibration_id=estimate.calibration_id,
        fidelity=measured,
        fidelity_method=MEASURED if measured is not None else "",
        queue_seconds=began - came,
        run_seconds=ended - began,
        engine_seconds=ended - began if measured is not None else None,
        error_type=None if measured is not None else "server_error",
        backend_fault=measured is None,
        forecast=estimate.forecast,
        promise=Promise(
            estimate.fidelity,
            estimate.fidelity_low,
            estimate.fidelity_high,
            estimate.duration_p50.total_seconds(),
            estimate.duration_p90.total_seconds(),
        ),
        queue=sent.queue,
        queue_depth=sent.queue_depth,
        end_time=START + dt.timedelta(seconds=ended),
    )


def static_policies(sites: Sequence[Site], jobs: Sequence[Job], seed: int) -> dict[str, Pick]:
    """The others, by name. All leave out what is known to be offline."""
    source, turns = Random(seed), count()
    best = sorted(sites, key=lambda site: -sum(_alone(site, job) for job in jobs[:: max(1, len(jobs) // 500)]))
    order = {site.backend.backend_id: place for place, site in enumerate(best)}
    names = sorted(order)

    def by(key: Callable[[Job, View], float]) -> Pick:
        async def pick(job: Job, views: Views, excluded: frozenset[str]) -> str:
            return min(_open(views, excluded), key=lambda name: key(job, views[name]))

        return pick

    async def at_random(_job: Job, views: Views, excluded: frozenset[str]) -> str:
        return source.choice(_open(views, excluded))

    async def round_robin(_job: Job, views: Views, excluded: frozenset[str]) -> str:
        able = _open(views, excluded)
        return next(name for turn in turns if (name := names[turn % len(names)]) in able)

    return {
        "least busy": by(lambda _, view: view.depth),
        "static best": by(lambda _, view: order[view.backend.backend_id]),
        "cheapest": by(lambda job, view: view.price(job)),
        "fastest": by(lambda job, view: (1 + view.depth) * seconds(view.backend, job)),
        "most fidelity (ESP)": by(lambda job, view: -fidelity(view.backend, job.features, view.told)),
        "random": at_random,
        "round robin": round_robin,
    }


def _open(views: Views, excluded: frozenset[str]) -> list[str]:
    """Those that take jobs as far as is known; all that are left where none does."""
    left = [name for name in views if name not in excluded] or list(views)
    return [name for name in left if views[name].online] or left


def _alone(site: Site, job: Job) -> float:
    """The utility of a job on an empty machine as it was first calibrated."""
    price = site.backend.price(job.features.circuit_count, job.shots)
    return worth(WEIGHTS, fidelity(site.backend, job.features, 1.0), seconds(site.backend, job), price).utility
