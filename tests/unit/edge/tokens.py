"""Accounts' side of the teams' buckets, in memory, and several edges that take from it in a time that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qm.accounts.v1 import limits_pb2 as pb

from edge.leases import Leases
from mesh.errors import Unavailable
from services.accounts.bucket import Bucket
from services.accounts.bucket_store import Kept
from services.accounts.limits_service import LimitsService
from services.accounts.team import TeamId


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class MemoryStore:
    """What accounts keeps, as PostgreSQL would."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.kept: dict[TeamId, Kept] = {}
        self.disturbed = 0
        """How often another process of accounts is to be quicker."""

    async def read(self, team_ids: list[TeamId]) -> tuple[float, dict[TeamId, Kept]]:
        await asyncio.sleep(0)
        return self.clock(), {each: self.kept.get(each) or Kept(Bucket(), 0) for each in team_ids}

    async def write(self, changed: dict[TeamId, Kept], _now: float) -> set[TeamId]:
        self.kept.update(changed)
        return set(changed)


class FakeLimits:
    """The service as an edge calls it, over a connection that can fail on the way there or back."""

    def __init__(self, service: LimitsService) -> None:
        self.service = service
        self.calls = 0
        self.asks_lost = self.answers_lost = False

    async def LeaseRequests(  # noqa: N802
        self,
        request: pb.LeaseRequestsRequest,
        *,
        timeout: float,  # noqa: ARG002 - as the stub has it
    ) -> pb.LeaseRequestsResponse:
        self.calls += 1
        lost = Unavailable("lost", reason="PEER_UNAVAILABLE")
        if self.asks_lost:
            raise lost
        sent = pb.LeaseRequestsRequest.FromString(request.SerializeToString())
        answer = await self.service.LeaseRequests(sent, None)  # type: ignore[arg-type]
        if self.answers_lost:
            raise lost
        return answer


class Edges:
    """Edges of one mesh."""

    def __init__(self, count: int, clock: Clock) -> None:
        self.clock = clock
        self.store = MemoryStore(clock)
        self.service = LimitsService(self.store, self._recall)  # type: ignore[arg-type]
        self.recalls_heard = True
        self.ways = [FakeLimits(self.service) for _ in range(count)]
        self.all = [self.edge(way) for way in self.ways]
        self.hear()

    def edge(self, way: FakeLimits) -> Leases:
        kind: Any = Leases
        made: Leases = kind(way, most_edges=4, clock=self.clock, unix_clock=self.clock)
        return made

    def lose(self, *, asks: bool = False, answers: bool = False) -> None:
        """What is lost from here on, between all edges and accounts."""
        for way in self.ways:
            way.asks_lost, way.answers_lost = asks, answers

    def hear(self) -> None:
        for each in self.all:
            each.heard()

    async def _recall(self, team_id: TeamId) -> bool:
        if self.recalls_heard:
            self._recalls = [asyncio.create_task(each.recall(team_id)) for each in self.all]
        return self.recalls_heard
