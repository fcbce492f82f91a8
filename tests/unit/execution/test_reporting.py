"""Routing hears how long the queues are, and of a machine from whoever knows its whole queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from qm.routing.v1 import routing_pb2 as pb

from services.execution import reporting
from services.execution.job import Priority, Queue
from services.execution.lines import Waiting
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub


class Queues:
    """A store whose queues are what the test says, one round after the other."""

    def __init__(self, *rounds: tuple[list[Waiting], dict[str, int]], each: int = 0) -> None:
        """`each` jobs come before every round."""
        self.rounds = list(rounds)
        self.each = self.accepted = each

    async def waiting(self) -> list[Waiting]:
        self.accepted += self.each
        return self.rounds.pop(0)[0]

    async def at_machines(self) -> dict[str, int]:
        if not self.rounds:
            raise asyncio.CancelledError
        return self.rounds[0][1]


class Routing:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, tuple[int, dict[str, int]]]] = []

    async def ReportBackends(self, request: pb.ReportBackendsRequest) -> None:  # noqa: N802 - an RPC
        self.told.append(
            {
                each.backend_id: (each.queue_depth, {team.team_id: team.depth for team in each.team_depths})
                for each in request.reports
            }
        )


def waiting(count: int) -> list[Waiting]:
    return [Waiting("sim", Queue.SHORT, Priority.STANDARD, "a", count, 0.5)]


async def test_what_changed_is_told_but_of_a_machine_whose_provider_tells_its_queue(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reporting, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(reporting, "SOONEST_SECONDS", 0.001)
    routing, told_by_providers = Routing(), {"ibm_boston"}
    rounds = (
        (waiting(3), {"ibm_boston": 1, "ibm_fez": 2}),
        (waiting(3), {"ibm_fez": 1}),
        (waiting(4), {"ibm_boston": 4, "ibm_fez": 1}),
        ([], {}),
    )
    with pytest.raises(asyncio.CancelledError):
        await reporting.report_queues(
            cast("Store", Queues(*rounds)), cast("RoutingServiceAsyncStub", routing), told_by_providers
        )
    first, *others = routing.told
    line, priority = "pool:sim/short", "pool:sim/short/priority"
    assert first == {"pool:sim": (3, {}), line: (1, {"a": 3}), priority: (0, {}), "ibm_fez": (2, {})}
    assert others == [
        {"ibm_fez": (1, {})},
        {"pool:sim": (4, {}), line: (1, {"a": 4})},
        {"pool:sim": (0, {}), line: (0, {}), "ibm_fez": (0, {})},
    ]


async def test_many_jobs_that_came_are_told_soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reporting, "EVERY_SECONDS", 60)
    monkeypatch.setattr(reporting, "SOONEST_SECONDS", 0.001)
    routing, rounds = Routing(), [(waiting(count), {"ibm_fez": 1}) for count in (3, 900, 5)]
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await reporting.report_queues(
                cast("Store", Queues(*rounds, each=reporting.MANY)), cast("RoutingServiceAsyncStub", routing), ()
            )
    assert [told["pool:sim"] for told in routing.told] == [(3, {}), (900, {}), (5, {})]
