"""How long a job of a plan may run, as billing tells it, read again now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from qm.billing.v1 import billing_pb2

from mesh.errors import MeshError
from mesh.telemetry import log

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

FRESH_SECONDS: Final = 60.0


class PlanTimes:
    """Seconds by the name of a plan."""

    def __init__(self, billing: BillingServiceAsyncStub, most: float) -> None:
        """Ask `billing`; `most` is what the operator allows to any plan."""
        self._billing = billing
        self._most = most
        self._seconds: dict[str, float] = {}
        self._read_at = -FRESH_SECONDS

    async def of(self, plan: str) -> float:
        """The longest run of a plan, in seconds; while billing is down, what was last known."""
        now = time.monotonic()
        if now - self._read_at >= FRESH_SECONDS:
            self._read_at = now
            try:
                plans = (await self._billing.ListPlans(billing_pb2.ListPlansRequest())).plans
                self._seconds = {each.plan: float(each.max_run_seconds) for each in plans if each.max_run_seconds}
            except MeshError as error:
                self._read_at = -FRESH_SECONDS
                log.warning("plans_not_read", reason=error.reason)
        return min(self._most, self._seconds.get(plan, self._most))
