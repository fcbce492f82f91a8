"""Whose turn it is: which job a worker takes next of those that wait in a queue.

Between the priorities and between the teams of one priority the engines' time is shared fairly (`shares.py`). Each
worker keeps its own account of it, in memory: since each is fair to all that wait, all together are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from services.execution.job import LEASE, LEAST_SECONDS, Job, JobId, Line, Priority, Queue, predicted_seconds
from services.execution.shares import Shares
from services.execution.store import Store


class Turns:
    """The turns of one worker."""

    def __init__(
        self, store: Store, *, pool: str, worker: str, priority_weight: float, clock: Callable[[], dt.datetime]
    ) -> None:
        """Take jobs of `pool` for `worker`; priority jobs get `priority_weight` times as much as the others."""
        self._store = store
        self._pool = pool
        self.worker = worker
        self._weights = {Priority.STANDARD: 1.0, Priority.PRIORITY: priority_weight}
        self._clock = clock
        self._priorities: dict[Queue, Shares[Priority]] = {queue: Shares() for queue in Queue}
        self._teams: dict[Queue, Shares[str]] = {queue: Shares() for queue in Queue}

    async def claim(self, queue: Queue) -> list[Job]:
        """The next job of a queue, or several that are very short, leased to the worker; none where none waits."""
        ahead = self._priorities[queue].ahead
        urgent_first = sorted(Priority, key=lambda priority: (ahead.get(priority, 0.0), -priority))
        jobs = await self._store.claim_next(
            Line(self._pool, queue, urgent_first),
            self._teams[queue].ahead,
            self.worker,
            lease=LEASE,
            now=self._clock(),
        )
        for job in jobs:
            self.begin(job)
        return jobs

    def begin(self, job: Job) -> None:
        """Count the turn of a job that is the worker's now."""
        seconds = _expected(job)
        self._priorities[job.queue].begin(job.priority, seconds, weight=self._weights[job.priority])
        self._teams[job.queue].begin(job.requester.team_id, seconds)

    async def lost(self) -> list[tuple[JobId, Queue]]:
        """Jobs of the pool that are running and that no worker has any more; raises Unavailable."""
        return await self._store.lost(self._pool, self._clock())

    def ended(self, job: Job, seconds: float) -> None:
        """Note how long a claimed job has kept its engine."""
        more = seconds - _expected(job)
        self._priorities[job.queue].correct(job.priority, more, weight=self._weights[job.priority])
        self._teams[job.queue].correct(job.requester.team_id, more)


def _expected(job: Job) -> float:
    return max(LEAST_SECONDS, predicted_seconds(job.decision))
