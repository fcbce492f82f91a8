"""How a job is accepted: measured, routed, its money held, stored and queued in one commit.

Nothing is stored or billed before everything is known to be right. If the process dies between the hold and the
commit, the sweeper gives the money back.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import uuid_utils.compat
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2 as pb

from mesh.batch import Batcher
from mesh.bulletin import Bulletin
from mesh.call import current
from mesh.destination import Destinations, require_callable
from mesh.errors import Conflict, InvalidArgument, MeshError
from mesh.telemetry import log
from services.execution import faults
from services.execution.assessing import Assessor
from services.execution.engines.seeds import derive_seed
from services.execution.job import Job, JobId, NewJob, Priority
from services.execution.messages import money
from services.execution.peers import Peers
from services.execution.place import place_for
from services.execution.quote import quote_used
from services.execution.quoting import Quotes, included_no_more
from services.execution.store import Store
from services.execution.watch import Watchers


class Intake:
    """Accepts jobs."""

    def __init__(  # noqa: PLR0913 - what accepting takes, wired once
        self,
        store: Store,
        assessor: Assessor,
        quotes: Quotes,
        peers: Peers,
        *,
        clock: Callable[[], dt.datetime],
        webhooks: Destinations,
        bulletin: Bulletin,
        watchers: Watchers,
    ) -> None:
        """Commit in groups to `store`; teams may be called at `webhooks`. `bulletin` has the places of this process."""
        self._store = store
        self._assessor = assessor
        self._quotes = quotes
        self._peers = peers
        self._clock = clock
        self._webhooks = webhooks
        self._bulletin = bulletin
        self._watchers = watchers
        self._in_flight: dict[tuple[str, str], asyncio.Event] = {}
        self._commits: Batcher[NewJob, bool] = Batcher(self._commit)

    async def submit(self, request: pb.SubmitJobRequest) -> tuple[Job, bool]:
        """The accepted job, and whether an earlier request with the same id made it; raises MeshError."""
        key = (request.requester.team_id, request.request_id)
        while (earlier := self._in_flight.get(key)) is not None:
            await earlier.wait()
            if (job := await self._replay(request)) is not None:
                return job, True
        done = self._in_flight[key] = asyncio.Event()
        try:
            return await self._submit(request)
        finally:
            del self._in_flight[key]
            done.set()

    async def close(self) -> None:
        """Commit what waits."""
        await self._commits.close()

    async def _submit(self, request: pb.SubmitJobRequest) -> tuple[Job, bool]:
        faults.require_test_key(request)
        require_callable(self._webhooks, request.webhook_url)
        try:
            new = await self._prepare(request)
        except MeshError:
            # A repeat must get its job even where a new one would be refused, for want of money for instance.
            if (job := await self._replay(request)) is not None:
                return job, True
            raise
        # If this raises, it is unknown whether the job is stored: a repeat finds out, the sweeper looks after the hold.
        if await self._commits.add(new):
            # The one line that has the public request's id, the trace's and the job's.
            log.info("job_accepted", job_id=str(new.job_id), backend=new.decision.backend.backend_id)
            return Job.accepted(new), False
        await self._peers.billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(new.job_id)))
        job = await self._replay(request)
        if job is None:
            if new.quote_id is not None and (first := await self._store.by_quote(new.quote_id)) is not None:
                raise quote_used(first)
            raise Conflict("another request with this key is being worked on; repeat it", reason="REQUEST_IN_FLIGHT")
        return job, True

    async def _prepare(self, request: pb.SubmitJobRequest) -> NewJob:
        order = self._assessor.order(request)
        job_id = JobId(uuid_utils.compat.uuid7())
        if request.quote_id:
            quote = await self._quotes.redeem(request, order)
            quote_id, decision, price, bound = quote.quote_id, quote.decision, quote.price, quote.cost
        else:
            quote_id, decision, bound = None, await self._assessor.choose(request, order, str(job_id)), None
            price = order.price(decision)
        wish = billing_pb2.HoldFundsRequest(
            job_id=str(job_id),
            requester=request.requester,
            price=money(price),
            priority=request.priority == pb.PRIORITY_PRIORITY,
            item=order.algorithm.id,
            qubit_count=decision.features.qubit_count,
            shot_count=request.shot_count,
        )
        hold = await self._hold(request, wish, bound)
        now, call = self._clock(), current()
        return NewJob(
            job_id=job_id,
            requester=request.requester,
            request_id=request.request_id,
            fingerprint=request.fingerprint,
            algorithm_id=order.algorithm.id,
            parameters=order.parameters,
            requested_hardware=request.hardware,
            shot_count=request.shot_count,
            priority=Priority(request.priority),
            seed=request.seed if request.HasField("seed") else derive_seed(str(job_id)),
            webhook_url=request.webhook_url,
            decision=decision,
            cost=hold.amount.micros,
            create_time=now,
            public_request=call.request_id if call else "",
            public_address=call.address if call else "",
            traceparent=call.traceparent if call else "",
            quote_id=quote_id,
            release_time=faults.release_time(request, now),
            engine_crash=request.test_faults.engine_crash,
        )

    async def _hold(
        self, request: pb.SubmitJobRequest, wish: billing_pb2.HoldFundsRequest, bound: int | None
    ) -> billing_pb2.Hold:
        """Hold the money of a job at its list price; `bound` is the most that it was quoted for."""
        most = request.max_cost.micros if request.HasField("max_cost") else None
        if bound is not None:
            most = bound if most is None else min(most, bound)
        if most is not None:
            wish.max_amount.CopyFrom(money(most))
        try:
            return (await self._peers.billing.HoldFunds(wish)).hold
        except InvalidArgument as error:
            if error.reason == "MAX_COST_EXCEEDED" and most == bound:
                raise included_no_more() from error
            raise

    async def _commit(self, jobs: list[NewJob]) -> list[bool | Exception]:
        jobs, commits = self._begun(jobs)
        inserted: set[JobId] = set()
        try:
            inserted = await self._store.insert(jobs)
        finally:
            for job_id, commit in commits.items():
                commit.set_result(job_id in inserted)
        for job in jobs:
            if job.job_id in inserted:
                self._watchers.expect(Job.begun(job) if job.job_id in commits else Job.accepted(job))
        return [job.job_id in inserted for job in jobs]

    def _begun(self, jobs: list[NewJob]) -> tuple[list[NewJob], dict[JobId, asyncio.Future[bool]]]:
        """The jobs, as their workers' where a place is free; and what these are to be told of their commits."""
        commits: dict[JobId, asyncio.Future[bool]] = {}
        begun: list[NewJob] = []
        for job in jobs:
            new = job
            if (place := place_for(job, self._bulletin)) is not None:
                new = replace(job, worker=place.worker)
                commits[job.job_id] = asyncio.get_running_loop().create_future()
                place.begin(Job.begun(new), commits[job.job_id])
            begun.append(new)
        return begun, commits

    async def _replay(self, request: pb.SubmitJobRequest) -> Job | None:
        job = await self._store.by_request(request.requester.team_id, request.request_id)
        if job is not None and job.fingerprint != request.fingerprint:
            message = "this Idempotency-Key was used with another request; use a new key for a new request"
            raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key")
        return job
