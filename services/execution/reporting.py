"""Tells routing how long the queues are, so that it can tell how long a job of a team will wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from qm.routing.v1 import routing_pb2

from mesh.errors import MeshError
from mesh.telemetry import log
from services.execution.lines import Depths, pool_depths
from services.execution.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub

EVERY_SECONDS = 2.0
SOONEST_SECONDS = 0.25
MANY = 8
"""So many jobs that have come since the last look are told soon: the next ones of their team wait for them."""
_LOOKING_PART = 0.05
"""Of the time, at most; a look at 10,000 jobs takes some ten milliseconds of the database."""
_REPEATED = 150
"""Rounds after which what has not changed is told again: routing believes a report for a quarter of an hour."""
_NOBODY = Depths(0)


async def report_queues(store: Store, routing: RoutingServiceAsyncStub, told_by_providers: Collection[str]) -> None:
    """Tell of every queue that has changed, until cancelled; what is down is told later.

    Of a machine whose provider tells its queue, which has ours in it, nothing is told.
    """
    told: dict[str, Depths] = {}
    rounds, accepted, looked = 0, 0, 0.0
    while True:
        await _pause(store, accepted, looked)
        rounds, accepted, began = rounds + 1, store.accepted, time.monotonic()
        try:
            machines = {name: Depths(count) for name, count in (await store.at_machines()).items()}
            now = dict.fromkeys(told, _NOBODY) | machines | pool_depths(await store.waiting())
            now = {name: depths for name, depths in now.items() if name not in told_by_providers}
            reports = [
                _report(name, depths)
                for name, depths in now.items()
                if rounds % _REPEATED == 0 or told.get(name) != depths
            ]
            if reports:
                await routing.ReportBackends(routing_pb2.ReportBackendsRequest(reports=reports))
                told = now
        except MeshError as error:
            log.warning("queues_not_reported", reason=error.reason)
        looked = time.monotonic() - began


async def _pause(store: Store, accepted: int, looked: float) -> None:
    """Wait for the next round; `accepted` jobs were at the last one, which took `looked` seconds."""
    began = time.monotonic()
    soonest = max(SOONEST_SECONDS, looked / _LOOKING_PART)
    while (waited := time.monotonic() - began) < EVERY_SECONDS:
        if waited >= soonest and store.accepted - accepted >= MANY:
            return
        await asyncio.sleep(SOONEST_SECONDS)


def _report(name: str, depths: Depths) -> routing_pb2.BackendReport:
    teams = [routing_pb2.TeamDepth(team_id=team_id, depth=depth) for team_id, depth in depths.teams.items()]
    return routing_pb2.BackendReport(backend_id=name, queue_depth=depths.newcomer, team_depths=teams)
