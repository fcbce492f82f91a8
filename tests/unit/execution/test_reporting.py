"""Routing hears how long the queues are, and of a machine from whoever knows its whole queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from qm.routing.v1 import routing_pb2 as pb

from services.execution import reporting
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub


class Queues:
    """A store whose queues are what the test says, one round after the other."""

    def __init__(self, *rounds: dict[str, int]) -> None:
        self.rounds = list(rounds)

    async def waiting(self) -> dict[str, int]:
        if not self.rounds:
            raise asyncio.CancelledError
        return self.rounds.pop(0)


class Routing:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, int]] = []

    async def ReportBackends(self, request: pb.ReportBackendsRequest) -> None:  # noqa: N802 - an RPC
        self.told.append({report.backend_id: report.queue_depth for report in request.reports})


async def test_what_changed_is_told_but_of_a_machine_whose_provider_tells_its_queue(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reporting, "EVERY_SECONDS", 0)
    routing, told_by_providers = Routing(), {"ibm_boston"}
    rounds = ({"pool:sim": 3, "ibm_boston": 1, "ibm_fez": 2}, {"pool:sim": 3, "ibm_fez": 1}, {"ibm_boston": 4})
    with pytest.raises(asyncio.CancelledError):
        await reporting.report_queues(
            cast("Store", Queues(*rounds)), cast("RoutingServiceAsyncStub", routing), told_by_providers
        )
    assert routing.told == [{"pool:sim": 3, "ibm_fez": 2}, {"ibm_fez": 1}, {"pool:sim": 0, "ibm_fez": 0}]
