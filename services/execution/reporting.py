"""Tells routing how long the queues are, so that it can tell how long a job will wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qm.routing.v1 import routing_pb2

from mesh.errors import MeshError
from mesh.telemetry import log
from services.execution.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub

EVERY_SECONDS = 2.0
_REPEATED = 150
"""Rounds after which what has not changed is told again: routing believes a report for a quarter of an hour."""


async def report_queues(store: Store, routing: RoutingServiceAsyncStub, told_by_providers: Collection[str]) -> None:
    """Tell of every queue that has changed, until cancelled; what is down is told later.

    Of a machine whose provider tells its queue, which has ours in it, nothing is told.
    """
    told: dict[str, int] = {}
    rounds = 0
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        rounds += 1
        try:
            depths = await store.waiting()
            now = {**dict.fromkeys(told, 0), **depths}
            now = {name: depth for name, depth in now.items() if name not in told_by_providers}
            news = now if rounds % _REPEATED == 0 else {name: n for name, n in now.items() if told.get(name) != n}
            if news:
                reports = [routing_pb2.BackendReport(backend_id=name, queue_depth=n) for name, n in news.items()]
                await routing.ReportBackends(routing_pb2.ReportBackendsRequest(reports=reports))
                told = now
        except MeshError as error:
            log.warning("queues_not_reported", reason=error.reason)
