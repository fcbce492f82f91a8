"""The story of one job in a worker, top to bottom.

    claim → run → keep the result → sign → settle → completed

Each step is keyed by the job id and done once, so that a redelivery after a crash picks up where the last worker
stopped. The result is kept before anything tells of it; the hold is closed before the end is visible.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

from qm.billing.v1 import billing_pb2
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2

from mesh.errors import DeadlineExceeded, InvalidArgument, MeshError, ResourceExhausted, Unavailable
from mesh.telemetry import log
from services.execution import task
from services.execution.children import Children, EngineFault
from services.execution.intake import features_message
from services.execution.job import Job, JobId, State
from services.execution.peers import Peers
from services.execution.record import RECORD_TYPE, build_record
from services.execution.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LEASE = dt.timedelta(seconds=9)
"""A worker that has not renewed for this long has lost its jobs; shorter than the queue's ack_wait."""
BEAT_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
"""How long a worker waits for a service that is down before it gives the job back to the queue."""

R = TypeVar("R")


class Verdict(Enum):
    """What becomes of the queue's message."""

    DONE = auto()
    LATER = auto()


class _Cancelled(Exception):
    """The job's team does not want it any more."""


class _LeaseLost(Exception):
    """Another worker has the job now."""


class Runner:
    """Runs jobs for one worker process."""

    def __init__(
        self,
        store: Store,
        children: Children,
        peers: Peers,
        *,
        worker: str,
        run_seconds: float,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Run in `children`, each run bounded by `run_seconds`; `worker` names the lease's holder."""
        self._store = store
        self._children = children
        self._peers = peers
        self._worker = worker
        self._run_seconds = run_seconds
        self._clock = clock
        self._computing: dict[JobId, asyncio.Task[task.Answer]] = {}
        self._cancelled: set[JobId] = set()

    async def run_job(self, job_id: JobId) -> Verdict:
        """Bring a job to its end; LATER where another worker has it, or a service stays down."""
        job = await self._store.claim(job_id, self._worker, lease=LEASE, now=self._clock())
        if job is None:
            current = await self._store.get(job_id)
            return Verdict.DONE if current is None or current.state.ended else Verdict.LATER
        try:
            async with self._keeping(job) as progress:
                await self._story(job, progress)
        except _LeaseLost:
            log.warning("lease_lost", job_id=str(job_id))
            return Verdict.LATER
        except (Unavailable, DeadlineExceeded) as error:
            log.warning("job_postponed", job_id=str(job_id), reason=error.reason)
            return Verdict.LATER
        return Verdict.DONE

    def cancel(self, job_id: JobId) -> None:
        """Let go of a job if it is being computed here; one that has its result completes."""
        computing = self._computing.get(job_id)
        if computing is not None:
            self._cancelled.add(job_id)
            computing.cancel()

    async def fail(self, job_id: JobId, error_type: str, message: str) -> None:
        """Give a job up that no worker holds: its money back, then failed."""
        job = await self._store.claim(job_id, self._worker, lease=LEASE, now=self._clock())
        if job is not None:
            await self._end(job, State.FAILED, (error_type, message))

    async def _story(self, job: Job, progress: _Progress) -> None:
        record = job.record
        if record is None:
            try:
                record = build_record(job, await self._execute_twice(job, progress), self._clock())
            except _Cancelled:
                return await self._end(job, State.CANCELLED, None)
            except EngineFault as fault:
                return await self._move_or_fail(job, fault)
            except (InvalidArgument, ResourceExhausted) as error:
                return await self._end(job, State.FAILED, ("bad_request", error.message))
            if not await patiently(lambda: self._store.keep_record(job.job_id, self._worker, record)):
                raise _LeaseLost
        request = signing_pb2.SignRecordRequest(subject=f"job/{job.job_id}", record_type=RECORD_TYPE, record=record)
        signed, _ = await asyncio.gather(
            patiently(lambda: self._peers.signing.SignRecord(request)),
            patiently(lambda: self._peers.billing.SettleHold(billing_pb2.SettleHoldRequest(job_id=str(job.job_id)))),
        )
        await self._close(job, State.COMPLETED, seal=signed.seal)
        return None

    async def _execute_twice(self, job: Job, progress: _Progress) -> task.Outcome:
        """Run it; after a crash once more, since a child may have been killed for a neighbour's hunger."""
        try:
            return await self._execute(job, progress)
        except EngineFault:
            return await self._execute(job, progress)

    async def _execute(self, job: Job, progress: _Progress) -> task.Outcome:
        if job.cancel_requested:
            raise _Cancelled
        request = task.Run(job.algorithm_id, job.parameters, job.shot_count, job.seed, job.backend.method)
        computing = asyncio.create_task(
            self._children.call(request, timeout=self._run_seconds, on_progress=progress.note)
        )
        self._computing[job.job_id] = progress.computing = computing
        try:
            outcome = await computing
        except asyncio.CancelledError:
            if job.job_id in self._cancelled:
                raise _Cancelled from None
            if progress.lost:
                raise _LeaseLost from None
            computing.cancel()
            raise
        finally:
            del self._computing[job.job_id]
            self._cancelled.discard(job.job_id)
        if not isinstance(outcome, task.Outcome):
            raise TypeError(f"{type(outcome).__name__} is no outcome")
        return outcome

    async def _move_or_fail(self, job: Job, fault: MeshError) -> None:
        """After a fault of its backend: once to another that can run it, where the caller named none; else failed."""
        log.warning("backend_fault", job_id=str(job.job_id), backend=job.backend.backend_id, reason=fault.reason)
        if job.may_reroute and (backend := await self._another(job)) is not None:
            await patiently(lambda: self._store.move(job.job_id, self._worker, backend, self._clock()))
            return
        message = f"{job.backend.backend_id} failed: {fault.message}. You are not charged; send the job again."
        await self._end(job, State.FAILED, ("server_error", message))

    async def _another(self, job: Job) -> routing_pb2.Backend | None:
        description = await self._children.call(
            task.Describe(job.algorithm_id, job.parameters), timeout=self._run_seconds
        )
        if not isinstance(description, task.Description):
            return None
        request = routing_pb2.ChooseBackendRequest(
            job_id=str(job.job_id),
            requester=job.requester,
            hardware="auto",
            features=features_message(description.features),
            shot_count=job.shot_count,
            excluded_backend_ids=[job.backend.backend_id],
        )
        try:
            response = await patiently(lambda: self._peers.routing.ChooseBackend(request))
        except InvalidArgument:
            return None
        return response.decision.backend

    async def _end(self, job: Job, state: State, error: tuple[str, str] | None) -> None:
        """End a job that costs nothing: its money goes back before its end is visible."""
        release = billing_pb2.ReleaseHoldRequest(job_id=str(job.job_id))
        await patiently(lambda: self._peers.billing.ReleaseHold(release))
        await self._close(job, state, error=error)

    async def _close(
        self,
        job: Job,
        state: State,
        *,
        seal: signing_pb2.Seal | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        ended = await patiently(
            lambda: self._store.end(job.job_id, self._worker, state, now=self._clock(), seal=seal, error=error)
        )
        if ended is None:
            raise _LeaseLost
        log.info("job_ended", job_id=str(job.job_id), state=state.word, backend=job.backend.backend_id)

    @asynccontextmanager
    async def _keeping(self, job: Job) -> AsyncIterator[_Progress]:
        """Renew the lease and report progress while the block runs."""
        progress = _Progress()

        async def beat() -> None:
            last_renewal = self._clock()
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                now = self._clock()
                if (note := progress.take()) is not None:
                    await self._store.report(job.job_id, self._worker, *note, now)
                if now - last_renewal < LEASE / 3:
                    continue
                cancel = await self._store.renew(job.job_id, self._worker, lease=LEASE, now=now)
                if cancel is None:
                    progress.lose()
                    return
                if cancel:
                    self.cancel(job.job_id)
                last_renewal = now

        async def keep_beating() -> None:
            while not progress.lost:
                try:
                    return await beat()
                except (Unavailable, DeadlineExceeded):
                    continue  # the database is away: the lease may run out, the fenced writes then find out
            return None

        beating = asyncio.create_task(keep_beating())
        try:
            yield progress
        finally:
            beating.cancel()


class _Progress:
    """What a run last said of itself, and whether its lease is lost."""

    def __init__(self) -> None:
        self._note: tuple[float, str] | None = None
        self.lost = False
        self.computing: asyncio.Task[task.Answer] | None = None

    def note(self, fraction: float, message: str) -> None:
        """Remember the newest word."""
        self._note = (fraction, message)

    def take(self) -> tuple[float, str] | None:
        """The newest word that was not taken yet."""
        note, self._note = self._note, None
        return note

    def lose(self) -> None:
        """Stop computing: another worker does."""
        self.lost = True
        if self.computing is not None:
            self.computing.cancel()


async def patiently(call: Callable[[], Awaitable[R]]) -> R:
    """The answer of `call`, tried again while a service is down, for up to PATIENCE_SECONDS; then its last error."""
    give_up = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return await call()
        except (Unavailable, DeadlineExceeded):
            if asyncio.get_running_loop().time() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(2.0, pause * 2)
