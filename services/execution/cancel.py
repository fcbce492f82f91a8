"""Ending jobs that their team does not want any more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from qm.billing.v1 import billing_pb2

from mesh.errors import Conflict, Unavailable
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

    async def cancel(self, job_id: JobId, team_id: str) -> Job:
        """The job after the request; raises NotFound, and Conflict where it has ended."""
        job = await self._store.get(job_id, team_id)
        if job is None:
            raise job_not_found()
        if job.state is State.QUEUED:
            ended = await self._store.end(job_id, None, State.CANCELLED, now=self._clock())
            if ended is not None:
                await self._billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(job_id)))
                return ended
        running = await self._store.request_cancel(job_id, team_id)
        if running is None:
            raise Conflict("the job has ended; there is nothing to cancel", reason="JOB_ENDED")
        with suppress(Unavailable):  # then the worker sees the request when it next renews its lease
            await self._events.tell(cancel_subject(str(job_id)))
        return running
