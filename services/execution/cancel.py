"""Ending jobs that their team does not want any more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from qm.billing.v1 import billing_pb2
from qm.type.v1.requester_pb2 import Requester

from mesh.errors import Conflict, DeadlineExceeded, Unavailable
from mesh.events import Events
from mesh.streams import cancel_subject
from services.execution.job import Job, JobId, State, job_not_found
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub


class Cancellations:
    """Ends jobs that their team does not want any more."""

    def __init__(
        self, store: Store, billing: BillingServiceAsyncStub, events: Events, clock: Callable[[], dt.datetime]
    ) -> None:
        """Tell workers over `events`."""
        self._store = store
        self._billing = billing
        self._events = events
        self._clock = clock

    async def cancel(self, job_id: JobId, by: Requester) -> Job:
        """The job after the request; raises NotFound, and Conflict where it has ended."""
        while True:
            job = await self._store.get(job_id, by.team_id)
            if job is None:
                raise job_not_found()
            if job.state.ended:
                raise Conflict("the job has ended; there is nothing to cancel", reason="JOB_ENDED")
            changed = await (self._end(job, by) if job.state is State.QUEUED else self._ask(job, by))
            if changed is not None:
                return changed

    async def _end(self, job: Job, by: Requester) -> Job | None:
        """End a job that waits; None where a worker was faster."""
        if not await self._store.end(job, None, State.CANCELLED, now=self._clock(), by=by):
            return None
        with suppress(Unavailable, DeadlineExceeded):  # then the sweeper gives the money back
            await self._billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(job.job_id)))
        return await self._store.get(job.job_id)

    async def _ask(self, job: Job, by: Requester) -> Job | None:
        """Ask the worker of a job to let go; None where no worker has it any more."""
        asked = await self._store.request_cancel(job.job_id, by, self._clock())
        if asked is not None:
            with suppress(Unavailable):  # then the worker sees the request when it next renews its lease
                await self._events.tell(cancel_subject(str(job.job_id)))
        return asked
