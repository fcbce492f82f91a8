"""Tells routing how long the queues are, so that it can tell how long a job of a team will wait."""

from __future__ import annotations

import asyncio
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
_REPEATED = 150
"""Rounds after which what has not changed is told again: routing believes a report for a quarter of an hour."""
_NOBODY = Depths(0)


async def report_queues(store: Store, routing: RoutingServiceAsyncStub, told_by_providers: Collection[str]) -> None:
    """Tell of every queue that has changed, until cancelled; what is down is told later.

    Of a machine whose provider tells its queue, which has ours in it, nothing is told.
    """
    told: dict[str, Depths] = {}
    rounds = 0
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        rounds += 1
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


def _report(name: str, depths: Depths) -> routing_pb2.BackendReport:
    teams = [routing_pb2.TeamDepth(team_id=team_id, depth=depth) for team_id, depth in depths.teams.items()]
    return routing_pb2.BackendReport(backend_id=name, queue_depth=depths.newcomer, team_depths=teams)
