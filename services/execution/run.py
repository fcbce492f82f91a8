"""The story of one job in a worker, top to bottom.

    claim → run → keep the result, sign it → seal it in the log, settle → completed

Each step is keyed by the job id and done once, so that a redelivery after a crash picks up where the last worker
stopped. The result is kept before anything tells of it, and only what is kept and signed is charged; the hold is closed
before the end is visible. Two things between commas go at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from enum import Enum, auto

from qm.billing.v1 import billing_pb2
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2

from mesh.call import Call
from mesh.errors import Conflict, DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable
from mesh.telemetry import Telemetry, log
from services.execution import task
from services.execution.children import Children, EngineFault
from services.execution.job import Job, JobId, State, predicted_seconds
from services.execution.lanes import Lanes
from services.execution.lease import JobCancelled, Lease, LeaseLost, Parked
from services.execution.live.story import LiveStory
from services.execution.offers import Offers
from services.execution.patience import both, patiently
from services.execution.peers import Peers
from services.execution.plan_times import PlanTimes
from services.execution.record import RECORD_TYPE, RecordError, build_record
from services.execution.rerouting import Rerouter
from services.execution.results.result_store import ResultKey, ResultStore
from services.execution.store import VERY_SHORT_SECONDS, Store

MAX_ATTEMPTS = 5
"""A job that broke so many attempts is given up. One that only had to wait for a service was not attempted."""


class Verdict(Enum):
    """How an attempt at a job came out."""

    DONE = auto()
    LATER = auto()


class Runner:
    """Runs jobs for one worker process."""

    def __init__(  # noqa: PLR0913 - the parts of a worker, wired once
        self,
        store: Store,
        children: Children,
        peers: Peers,
        results: ResultStore,
        offers: Offers,
        *,
        worker: str,
        clock: Callable[[], dt.datetime],
        live: LiveStory | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Run in `children`, each run bounded by the limits of `offers`; `worker` names the lease's holder.

        Results that are too large for their records go to `results`. `live` takes jobs on machines. What is done for a
        job is a part of the request that submitted it, in the log and in the spans of `telemetry`.
        """
        self._telemetry = telemetry or Telemetry()
        self._live = live
        self._rerouter = Rerouter(children, peers, offers, live)
        self._store = store
        self._children = children
        self._lanes = Lanes(children)
        self._peers = peers
        self._results = results
        self._offers = offers
        self._worker = worker
        self._times = PlanTimes(peers.billing, offers.limits.seconds)
        self._clock = clock
        self._leases: dict[JobId, Lease] = {}

    async def run_job(self, job_id: JobId) -> Verdict:
        """Bring a job to its end that was left behind. LATER where a worker has it, or this attempt failed."""
        if job_id in self._leases:  # this process was slow to say that it works on it
            return Verdict.LATER
        lease = self._leases[job_id] = Lease(self._store, job_id, self._worker, self._clock)
        try:
            job = await lease.claim()
            if job is None:
                current = await self._store.get(job_id)
                return Verdict.DONE if current is None or current.state.ended else Verdict.LATER
            return await self._attempt(job, lease)
        finally:
            del self._leases[job_id]

    async def run_claimed(
        self,
        job: Job,
        *,
        threads: int = 1,
        among_others: bool = False,
        accepted: asyncio.Future[bool] | None = None,
    ) -> Verdict:
        """Bring a job to its end that the store has claimed for this worker. LATER where this attempt failed.

        `threads` are the cores that its run may use; `among_others` of the same claim it may share a child with them.
        While `accepted` is open the store is still at it: the job is computed ahead, and nothing is told of it.
        """
        lease = self._leases[job.job_id] = Lease(
            self._store, job.job_id, self._worker, self._clock, threads=threads, among_others=among_others
        )
        if accepted is None:
            lease.hold(job)
        else:
            lease.hold_ahead(job, accepted)
        try:
            return await self._attempt(job, lease)
        finally:
            del self._leases[job.job_id]

    def cancel(self, job_id: JobId) -> None:
        """Let go of a job if it is being computed here; one that has its result completes."""
        if (lease := self._leases.get(job_id)) is not None:
            lease.cancel()

    async def _attempt(self, job: Job, lease: Lease) -> Verdict:
        submission = Call("execution", job.public_request, traceparent=job.traceparent)
        with self._telemetry.work("job", submission, job_id=str(job.job_id), backend=job.backend.backend_id):
            return await self._attempted(job, lease)

    async def _attempted(self, job: Job, lease: Lease) -> Verdict:
        try:
            async with lease.kept():
                if job.attempt_count <= MAX_ATTEMPTS or not await self._given_up(job):
                    await self._story(job, lease)
        except LeaseLost:
            log.warning("lease_lost", job_id=str(job.job_id))
            return Verdict.LATER
        except Parked as parked:
            await lease.park(parked)
            return Verdict.LATER
        except (Unavailable, DeadlineExceeded) as error:
            log.warning("job_postponed", job_id=str(job.job_id), reason=error.reason)
            await lease.give_back()
            return Verdict.LATER
        except asyncio.CancelledError:  # this process ends: another takes over
            await lease.give_back()
            raise
        except Exception:  # noqa: BLE001 - a bug, here or in a peer; the attempt is counted
            log.exception("job_crashed", job_id=str(job.job_id))
            return Verdict.LATER
        return Verdict.DONE

    async def _given_up(self, job: Job) -> bool:
        """Whether the job is failed now; one that was charged already can only go on."""
        message = f"the job could not be run in {MAX_ATTEMPTS} attempts. You are not charged; tell us its id."
        log.error("job_given_up", job_id=str(job.job_id))
        try:
            await self._end(job, State.FAILED, ("server_error", message))
        except Conflict:
            return False
        return True

    async def _story(self, job: Job, lease: Lease) -> None:
        record = job.record
        if record is None:
            try:
                record = await self._record(job, await self._outcome(job, lease))
            except JobCancelled:
                return await self._end(job, State.CANCELLED, None)
            except EngineFault as fault:
                return await self._move_or_fail(job, fault)
            except Parked as parked:
                if not parked.elsewhere or not await self._moved(job, str(parked)):
                    raise
                return None
            except (InvalidArgument, ResourceExhausted) as error:
                return await self._end(job, State.FAILED, ("bad_request", error.message))
            except RecordError as error:
                log.exception("result_unusable", job_id=str(job.job_id))
                return await self._end(job, State.FAILED, ("server_error", str(error)))
            await both(self._keep(job, record), self._prepare(record))
        else:
            await self._prepare(record)
        seal, _ = await both(self._seal(job, record), self._settle(job))
        await self._close(job, State.COMPLETED, record=record, seal=seal)
        return None

    async def _keep(self, job: Job, record: bytes) -> None:
        if not await patiently(lambda: self._store.keep_record(job.job_id, self._worker, record)):
            raise LeaseLost

    async def _prepare(self, record: bytes) -> None:
        request = signing_pb2.PrepareRecordRequest(record_type=RECORD_TYPE, record=record)
        await patiently(lambda: self._peers.signing.PrepareRecord(request))

    async def _seal(self, job: Job, record: bytes) -> signing_pb2.Seal:
        request = signing_pb2.SignRecordRequest(subject=f"job/{job.job_id}", record_type=RECORD_TYPE, record=record)
        return (await patiently(lambda: self._peers.signing.SignRecord(request))).seal

    async def _settle(self, job: Job) -> None:
        request = billing_pb2.SettleHoldRequest(job_id=str(job.job_id))
        await patiently(lambda: self._peers.billing.SettleHold(request))

    async def _record(self, job: Job, outcome: task.Outcome) -> bytes:
        """What is to be signed of an outcome; a result that is too large for it is stored first."""
        now = self._clock()
        bulky = task.is_bulky(outcome)
        record = await asyncio.to_thread(build_record, job, outcome, now) if bulky else build_record(job, outcome, now)
        if (apart := record.apart) is not None:
            key = ResultKey(job.job_id, record.sha256)
            await patiently(lambda: self._results.put(key, apart))
        return record.signed

    async def _outcome(self, job: Job, lease: Lease) -> task.Outcome:
        if job.backend.kind != routing_pb2.BACKEND_KIND_LIVE:
            try:
                return await self._run_twice(job, lease)
            finally:
                await lease.accepted()
        await lease.accepted()
        if self._live is None:
            raise EngineFault("no worker here reaches live machines")
        return await self._live.step(job, lease)

    async def _run_twice(self, job: Job, lease: Lease) -> task.Outcome:
        """Run it; after a crash once more, since a child may have been killed for a neighbour's hunger."""
        twin = job.backend.kind == routing_pb2.BACKEND_KIND_TWIN
        request = task.Run(
            job.algorithm_id,
            job.parameters,
            job.shot_count,
            job.seed,
            engine=job.backend.engine,
            method=job.backend.method,
            twin=job.backend.backend_id if twin else "",
            attempts=job.requested_hardware == "auto" and not job.rerouted,
            memory_bytes=self._children.allowance(0 if job.rerouted else job.decision.estimate.memory_bytes),
            threads=lease.threads,
            crash=job.engine_crash,
        )

        seconds = await self._times.of(job.requester.plan)
        predicted = 0.0 if job.rerouted else predicted_seconds(job.decision)
        brief = not twin and 0 < predicted <= VERY_SHORT_SECONDS
        call = self._lanes.run if brief and lease.among_others else self._children.call

        async def run() -> task.Outcome:
            lease.expect(predicted)
            with self._telemetry.work("run"):
                return await call(request, timeout=seconds, on_progress=lease.note)

        try:
            return await lease.compute(run())
        except EngineFault:
            return await lease.compute(run())

    async def _move_or_fail(self, job: Job, fault: EngineFault) -> None:
        """After a fault of its engine: once to another that can run it, where the caller named none; else failed."""
        if await self._moved(job, str(fault)):
            return
        message = f"{job.backend.backend_id} failed: {fault}. You are not charged; send the job again."
        await self._end(job, State.FAILED, ("server_error", message))

    async def _moved(self, job: Job, fault: str) -> bool:
        """Give a job to another backend, where it may go and there is one; False where it stays."""
        where = {"backend": job.backend.backend_id, "engine": job.backend.engine}
        log.warning("engine_fault", job_id=str(job.job_id), reason=fault, **where)
        if not job.may_reroute:
            return False
        seconds = await self._times.of(job.requester.plan)
        backend = await patiently(lambda: self._rerouter.another(job, seconds=seconds))
        if backend is None:
            return False
        now = self._clock()
        if not await patiently(lambda: self._store.move(job.job_id, self._worker, backend, now, fault=fault)):
            raise LeaseLost
        return True

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
        record: bytes | None = None,
        seal: signing_pb2.Seal | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        ended = await patiently(
            lambda: self._store.end(job, self._worker, state, now=self._clock(), record=record, seal=seal, error=error)
        )
        if not ended:
            raise LeaseLost
        log.info("job_ended", job_id=str(job.job_id), state=state.word, backend=job.backend.backend_id)
