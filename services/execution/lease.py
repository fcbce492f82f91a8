"""One worker's hold on one job: taken, renewed while the job is worked on, and given back or lost."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from mesh.errors import DeadlineExceeded, Unavailable
from mesh.telemetry import log
from services.execution.job import LEASE, Job, JobId
from services.execution.progress import Progress
from services.execution.store import Store

BEAT_SECONDS = 0.5
FIRST_BEAT_SECONDS = 0.1
"""A job that takes longer has its watchers told that it runs; for a shorter one its end is news enough."""
GRACE_SECONDS = 0.5
"""For a run that began ahead of a commit which failed, as that of every repeated submission does: to stop it costs its
engine, and most are done by then."""

R = TypeVar("R")


class JobCancelled(Exception):
    """The job's team does not want it any more."""


class LeaseLost(Exception):
    """Another worker has the job now."""


class Parked(Exception):
    """The job waits for something that is not here; nobody need hold it for so long."""

    def __init__(self, seconds: float, message: str, *, elsewhere: bool = False) -> None:
        """Keep when to look again, and a word on what is waited for.

        `elsewhere` says that it has waited long enough to go on elsewhere, since nothing of it was sent yet.
        """
        super().__init__(message)
        self.seconds = seconds
        self.elsewhere = elsewhere


class Lease:
    """One worker's hold on one job."""

    def __init__(
        self,
        store: Store,
        job_id: JobId,
        worker: str,
        clock: Callable[[], dt.datetime],
        *,
        threads: int = 1,
        among_others: bool = False,
    ) -> None:
        """Hold nothing yet; `worker` names the holder, `threads` are what the job may use of it.

        `among_others` says that others were taken with it, with which it may share an engine.
        """
        self.threads = threads
        self.among_others = among_others
        self._accepted: asyncio.Future[bool] | None = None
        self._store = store
        self._job_id = job_id
        self._worker = worker
        self._clock = clock
        self._computing: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._lost = False
        self._progress = Progress()

    async def claim(self) -> Job | None:
        """Take the job; None where it has ended or another worker's lease still runs."""
        job = await self._store.claim(self._job_id, self._worker, lease=LEASE, now=self._clock())
        if job is not None:
            self.hold(job)
        return job

    def hold(self, job: Job) -> None:
        """Go on with a job that the store has claimed for the holder."""
        self._cancelled |= job.cancel_requested
        self._progress.hear(job.progress, job.progress_message, self._clock())

    def hold_ahead(self, job: Job, accepted: asyncio.Future[bool]) -> None:
        """Go on with a job whose commit as the holder's is under way; `accepted` tells how that ended."""

        def ended(commit: asyncio.Future[bool]) -> None:
            if not commit.result():
                asyncio.get_running_loop().call_later(GRACE_SECONDS, self._lose)

        self.hold(job)
        self._accepted = accepted
        accepted.add_done_callback(ended)

    async def accepted(self) -> None:
        """Wait until the job is committed as the holder's; raises LeaseLost where it is not.

        A worker that is told to end while it waits ends alone: the commit goes on.
        """
        if self._accepted is not None and not await asyncio.shield(self._accepted):
            raise LeaseLost

    async def give_back(self) -> None:
        """Let another worker take the job at once; this attempt at it was none."""
        with suppress(Unavailable, DeadlineExceeded):  # then the lease runs out
            await self._store.give_back(self._job_id, self._worker, self._clock())

    @property
    def cancelled(self) -> bool:
        """Whether the team does not want the job any more."""
        return self._cancelled

    async def park(self, parked: Parked) -> None:
        """Let go of the job for a while, and tell its watchers why; this attempt at it was none."""
        now = self._clock()
        until = now + dt.timedelta(seconds=parked.seconds)
        with suppress(Unavailable, DeadlineExceeded):  # then the lease runs out, and the job is looked at earlier
            if str(parked) != self._progress.message:
                await self._store.report(self._job_id, self._worker, self._progress.fraction, str(parked), now)
            await self._store.park(self._job_id, self._worker, until=until, now=now)

    async def compute(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of `work`, unless the job is cancelled (JobCancelled) or lost (LeaseLost) before that."""
        computing: asyncio.Task[R] = asyncio.create_task(work)
        self._computing = computing
        if self._cancelled or self._lost:
            computing.cancel()
        try:
            return await computing
        except asyncio.CancelledError:
            if self._lost:
                raise LeaseLost from None
            if self._cancelled:
                raise JobCancelled from None
            raise
        finally:
            self._computing = None

    def cancel(self) -> None:
        """Stop computing, or do not begin: the team does not want the job any more."""
        self._cancelled = True
        self._stop()

    def expect(self, seconds: float) -> None:
        """Begin a run that is predicted to take so many seconds, by which its progress is told while it is silent."""
        self._progress.expect(seconds, self._clock())

    def note(self, fraction: float, message: str) -> None:
        """Remember how far the job is, for the next beat."""
        self._progress.hear(fraction, message, self._clock())

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew, and report progress, while the block runs."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        renewed, pause = self._clock(), FIRST_BEAT_SECONDS
        while not self._lost:
            await asyncio.sleep(pause)
            pause = BEAT_SECONDS
            try:
                await self._report()
                if self._clock() - renewed >= LEASE / 3:
                    renewed = await self._renew()
            except (Unavailable, DeadlineExceeded):
                continue  # the lease may run out: the fenced writes then find out
            except Exception:  # noqa: BLE001 - a bug in what is reported must not cost the lease
                log.exception("beat_failed", job_id=str(self._job_id))

    async def _report(self) -> None:
        now = self._clock()
        if (news := self._progress.news(now)) is not None:
            await self._store.report(self._job_id, self._worker, *news, now)

    async def _renew(self) -> dt.datetime:
        now = self._clock()
        cancel_requested = await self._store.renew(self._job_id, self._worker, lease=LEASE, now=now)
        if cancel_requested is None:
            self._lose()
        elif cancel_requested:
            self.cancel()
        return now

    def _lose(self) -> None:
        self._lost = True
        self._stop()

    def _stop(self) -> None:
        if self._computing is not None:
            self._computing.cancel()
