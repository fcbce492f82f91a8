"""Closing what a crash left open: jobs without a queue message, and holds without a living job."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from qm.billing.v1 import billing_pb2

from mesh.errors import Conflict, MeshError
from mesh.telemetry import log
from services.execution.job import JobId, State
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

PAGE = 500


class Sweeper:
    """Looks around once in a while; what it does can be done by two processes at once and twice."""

    def __init__(
        self,
        store: Store,
        billing: BillingServiceAsyncStub,
        *,
        stalled_after: dt.timedelta,
        hold_age: dt.timedelta,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Queue again what has not moved for `stalled_after`; look at holds that are open for `hold_age`."""
        self._store = store
        self._billing = billing
        self._stalled_after = stalled_after
        self._hold_age = hold_age
        self._clock = clock

    async def run(self, every_seconds: float) -> None:
        """Sweep until cancelled; what is down now is met again at the next round."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.sweep()
            except MeshError as error:
                log.warning("sweep_postponed", reason=error.reason)

    async def sweep(self) -> None:
        """One round."""
        now = self._clock()
        requeued = await self._store.requeue_stalled(older_than=now - self._stalled_after, now=now)
        closed = await self._close_holds()
        if requeued or closed:
            log.info("swept", requeued=requeued, holds_closed=closed)

    async def _close_holds(self) -> int:
        min_age = Duration()
        min_age.FromTimedelta(self._hold_age)
        response = await self._billing.ListOpenHolds(billing_pb2.ListOpenHoldsRequest(min_age=min_age, page_size=PAGE))
        ids = [JobId(uuid.UUID(hold.job_id)) for hold in response.holds]
        states = await self._store.states(ids)
        return sum([await self._close(job_id, states.get(job_id)) for job_id in ids])

    async def _close(self, job_id: JobId, state: State | None) -> bool:
        """Bring the hold of a job to where its job is; False where that is right, or billing refuses."""
        try:
            if state is State.COMPLETED:
                await self._billing.SettleHold(billing_pb2.SettleHoldRequest(job_id=str(job_id)))
            elif state is None or state.ended:
                await self._billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(job_id)))
            else:
                return False
        except Conflict as error:  # closed meanwhile, the other way
            log.warning("hold_not_closed", job_id=str(job_id), reason=error.reason)
            return False
        return True
