"""The plans' request limits, as billing tells them, read again now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from qm.billing.v1.billing_pb2 import ListPlansRequest

from edge.limits import Rate
from mesh.errors import MeshError, Unavailable

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

REFRESH_SECONDS = 60.0
RETRY_SECONDS = 1.0
log = structlog.get_logger()


class Plans:
    """Request limits by the name of a plan."""

    def __init__(self, billing: BillingServiceAsyncStub) -> None:
        """Know nothing until the first `refresh`."""
        self._billing = billing
        self._rates: dict[str, Rate] = {}

    @property
    def known(self) -> bool:
        """Whether the plans were read at least once."""
        return bool(self._rates)

    async def refresh(self) -> None:
        """Read the plans; raises MeshError."""
        response = await self._billing.ListPlans(ListPlansRequest())
        self._rates = {plan.plan: Rate(plan.requests_per_minute, max(plan.burst_count, 1)) for plan in response.plans}

    async def rate(self, plan: str) -> Rate:
        """The limit of a plan; one that is not known yet is asked for. Raises MeshError."""
        rate = self._rates.get(plan)
        if rate is None:
            await self.refresh()
            rate = self._rates.get(plan)
        if rate is None:
            message = f"There is no plan {plan!r}; tell your operator the request id."
            raise Unavailable(message, reason="UNKNOWN_PLAN")
        return rate

    async def keep_fresh(self) -> None:
        """Read the plans again and again, until cancelled. What was known stays known while billing is away."""
        while True:
            try:
                await self.refresh()
                await asyncio.sleep(REFRESH_SECONDS)
            except MeshError as error:
                log.warning("plans_not_read", reason=error.reason)
                await asyncio.sleep(RETRY_SECONDS)
