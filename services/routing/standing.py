"""Standings: how backends are now, by reports of those who know and by how their jobs came out. Pure.

A live machine that fails three jobs in a row is offline for a minute, then for twice as long each time: a circuit
breaker. After that time one job is let through, and what becomes of it decides. Simulators and twins have none: what
fails there is nearly always the program, and one team could close them to all.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from services.routing.catalogue import Backend, Kind
from services.routing.learning.outcome import Outcome
from services.routing.waiting import NONE, Wait, Waits, rung

FAULTS = 3
FIRST_PAUSE = dt.timedelta(minutes=1)
LONGEST_PAUSE = dt.timedelta(hours=1)
FRESH = dt.timedelta(minutes=15)
"""How long a report is believed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody who knows has said of a backend, or of a pool. None is what was never said."""

    time: dt.datetime
    queue_depth: int | None = None
    queue_seconds: float | None = None
    online: bool | None = None
    reason: str = ""
    task_price: int | None = None
    shot_price: int | None = None
    team_depths: Mapping[str, int] = field(default_factory=dict)
    """The depths of teams that are not as far from their turn as `queue_depth` says."""

    def over(self, earlier: Report) -> Report:
        """This report, and what an earlier one said that this leaves open."""
        silent = {
            name: getattr(earlier, name)
            for name in ("queue_depth", "queue_seconds", "online", "task_price", "shot_price")
            if getattr(self, name) is None
        }
        return replace(self, **silent)


@dataclass(frozen=True, slots=True)
class Breaker:
    """The faults of one machine in a row."""

    faults: int = 0
    open_until: dt.datetime | None = None
    trial_until: dt.datetime | None = None
    """While one job is out to try it."""

    def failed(self, now: dt.datetime) -> Breaker:
        """After another fault."""
        faults = self.faults + 1
        if faults < FAULTS:
            return Breaker(faults)
        return Breaker(faults, now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(faults - FAULTS, 16)))

    def closed_for(self, now: dt.datetime) -> str:
        """Why the machine is not to be asked now, for people; empty where it is."""
        if self.open_until is not None and now < self.open_until:
            return f"it failed {self.faults} jobs in a row, and is tried again at {self.open_until:%H:%M:%S} UTC"
        if self.trial_until is not None and now < self.trial_until:
            return f"it failed {self.faults} jobs in a row, and a job is out to try it"
        return ""


class Standings:
    """What is known of every backend now."""

    def __init__(self, *, live_queue_seconds: float, clock: Callable[[], dt.datetime]) -> None:
        """Begin without reports; `live_queue_seconds` is the wait for a machine of which nothing is known."""
        self._clock = clock
        self._live_wait = Wait(live_queue_seconds, 6 * live_queue_seconds)
        self._reports: dict[str, Report] = {}
        self._breakers: dict[str, Breaker] = {}
        self._waits = Waits()
        self._places: dict[str, tuple[tuple[str, int], ...]] = {}
        self._sent: dict[str, int] = {}
        """Our own jobs that went to a machine since its queue was reported, less those that ended."""
        self.version = 0
        """Grows with every change that may change a choice."""

    def report(self, name: str, report: Report) -> None:
        """Take in a report of a backend, or of a pool ("pool:sim")."""
        earlier = self._reports.get(name)
        fresh = report if earlier is None else report.over(earlier)
        if earlier is None or _matter(replace(fresh, time=earlier.time)) != _matter(earlier):
            self.version += 1
        self._reports[name] = fresh
        if fresh.team_depths or (earlier is not None and earlier.team_depths):
            self._places = _places(self._reports)
        if report.queue_depth is not None:
            self._sent.pop(name, None)

    def took(self, backend: Backend) -> None:
        """Hear that a job was sent to a backend: a machine's queue is one longer, and one on trial has its one job."""
        if backend.kind is not Kind.LIVE:
            return
        name, breaker = backend.backend_id, self._breakers.get(backend.backend_id)
        self._sent[name] = self._sent.get(name, 0) + 1
        self.version += 1
        if breaker is not None and breaker.faults >= FAULTS:
            self._breakers[name] = replace(breaker, trial_until=self._clock() + FRESH)

    def learn(self, outcome: Outcome) -> None:
        """Take in how a job ended: how long it waited, and whether its backend failed it."""
        name = outcome.backend_id
        if outcome.queue == name:
            self._sent[name] = self._sent.get(name, 0) - 1
            self.version += 1
        if outcome.engine_seconds is not None and outcome.queue:
            waited = outcome.queue_seconds + outcome.run_seconds - outcome.engine_seconds
            pool = outcome.queue.partition("/")[0]
            for queue in {outcome.queue, pool}:
                if self._waits.observe(queue, outcome.queue_depth, waited):
                    self.version += 1
        if outcome.backend_fault and self._clock() - outcome.end_time < FRESH:
            self._breakers[name] = self._breakers.get(name, Breaker()).failed(self._clock())
            self.version += 1
        elif outcome.error_type is None and self._breakers.pop(name, None) is not None:
            self.version += 1

    def now(self, backend: Backend) -> Backend:
        """A backend as it is: a machine is offline where a report or its faults say so, at the prices of the day."""
        if backend.kind is not Kind.LIVE:
            return backend
        report, breaker = self._report(backend.backend_id), self._breakers.get(backend.backend_id)
        reason = breaker.closed_for(self._clock()) if breaker is not None else ""
        if report is not None:
            if report.online is False:
                reason = report.reason or "its provider says so"
            backend = _priced(backend, report)
        return msgspec.structs.replace(backend, online=False, offline_reason=reason) if reason else backend

    def places(self, team_id: str) -> tuple[tuple[str, int], ...]:
        """The lines in which a team is not where a newcomer would be, with its depth; none for most teams.

        With `version` it is all of the standings that a choice for the team depends on.
        """
        return self._places.get(team_id, ())

    def depth(self, backend: Backend, line: str = "", team_id: str = "") -> int | None:
        """The jobs before the next one of a team, our own since the last report too; None where nobody has said."""
        queue = queue_of(backend, line)
        report = self._report(queue)
        if report is None or report.queue_depth is None:
            return None
        return max(0, report.team_depths.get(team_id, report.queue_depth) + self._sent.get(queue, 0))

    def wait(self, backend: Backend, line: str = "", team_id: str = "") -> Wait:
        """All of a job's time but its run, as it is expected now; of a line without any past as its pool has it."""
        queue = queue_of(backend, line)
        report = self._report(queue)
        if report is not None and report.queue_seconds is not None:
            return Wait(report.queue_seconds, 3 * report.queue_seconds)
        depth = self.depth(backend, line, team_id) or 0
        known = self._waits.expected(queue, depth) or self._waits.expected(queue_of(backend), depth)
        return known or (self._live_wait if backend.kind is Kind.LIVE else NONE)

    def _report(self, name: str) -> Report | None:
        report = self._reports.get(name)
        return report if report is not None and self._clock() - report.time < FRESH else None


def _matter(report: Report) -> Report:
    """What of a report may change a choice of any team."""
    depth = report.queue_depth
    return replace(report, queue_depth=None if depth is None else rung(depth), team_depths={})


def _places(reports: Mapping[str, Report]) -> dict[str, tuple[tuple[str, int], ...]]:
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, report in reports.items():
        for team_id, depth in report.team_depths.items():
            found[team_id].append((name, depth))
    return {team_id: tuple(places) for team_id, places in found.items()}


def queue_of(backend: Backend, line: str = "") -> str:
    """The queue in which its jobs wait: that of the machine, or of the pool that simulates, or a line of the pool."""
    if backend.kind is Kind.LIVE:
        return backend.backend_id
    return f"pool:{backend.pool}/{line}" if line else f"pool:{backend.pool}"


def _priced(backend: Backend, report: Report) -> Backend:
    machine = backend.machine
    if machine is None or (report.task_price is None and report.shot_price is None):
        return backend
    task = machine.task_price_micros if report.task_price is None else report.task_price
    shot = machine.shot_price_micros if report.shot_price is None else report.shot_price
    priced = msgspec.structs.replace(machine, task_price_micros=task, shot_price_micros=shot)
    return msgspec.structs.replace(backend, machine=priced)
