"""The RPCs of benchmarks: check, plan, tell."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable

from qm.routing.v1 import routing_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from mesh.errors import NotFound
from services.routing.benchmarks.benchmark import Benchmark, BenchmarkId, cells_of, next_cell
from services.routing.benchmarks.benchmark_store import BenchmarkStore
from services.routing.benchmarks.messages import (
    measurement_message,
    offline_message,
    options_of,
    plan_message,
    scoreboard_message,
)
from services.routing.benchmarks.offline import load_offline
from services.routing.benchmarks.scoreboard import scoreboard
from services.routing.catalogue import Catalogue
from services.routing.learning.memory import Memory
from services.routing.learning.outcome_store import OutcomeStore

MOST_LISTED = 200
MOST_JOBS = 1000


class BenchmarkService:
    """Answers qm.routing.v1.BenchmarkService."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: BenchmarkStore,
        outcomes: OutcomeStore,
        memory: Memory,
        *,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Plan over `catalogue`, and tell what `outcomes` became; `clock` tells the time in UTC."""
        self._catalogue = catalogue
        self._cells = cells_of(catalogue.backends)
        self._store = store
        self._outcomes = outcomes
        self._memory = memory
        self._clock = clock
        offline = load_offline()
        self._offline = None if offline is None else offline_message(offline)

    async def PlanBenchmark(self, _request: pb.PlanBenchmarkRequest, _call: Call) -> pb.PlanBenchmarkResponse:
        """Answer the open benchmark, or plan the next one; nothing while everything is fresh."""
        benchmark = await self._store.open()
        if benchmark is None:
            now = self._clock()
            cell = next_cell(self._cells, await self._store.planned(), now)
            if cell is None:
                return pb.PlanBenchmarkResponse()
            benchmark = Benchmark.of(cell, BenchmarkId(str(uuid7())), secrets.randbits(48), now)
            await self._store.add(benchmark)
        return pb.PlanBenchmarkResponse(plan=plan_message(benchmark))

    async def StartBenchmark(self, request: pb.StartBenchmarkRequest, _call: Call) -> pb.StartBenchmarkResponse:
        """Note the job of a benchmark."""
        if not await self._store.start(BenchmarkId(request.benchmark_id), request.job_id or None, self._clock()):
            message = f"there is no benchmark {request.benchmark_id}"
            raise NotFound(message, reason="BENCHMARK_NOT_FOUND", field="benchmark_id")
        return pb.StartBenchmarkResponse()

    async def ListBenchmarks(self, request: pb.ListBenchmarksRequest, _call: Call) -> pb.ListBenchmarksResponse:
        """List the newest measurement of each backend, family and width."""
        limit = request.page_size or MOST_LISTED
        found = await self._store.newest(request.backend_id, request.family, limit)
        kinds = {backend.backend_id: backend.kind for backend in self._catalogue.backends}
        return pb.ListBenchmarksResponse(
            benchmarks=[measurement_message(each, kinds.get(each.outcome.backend_id)) for each in found]
        )

    async def GetScoreboard(self, request: pb.GetScoreboardRequest, _call: Call) -> pb.GetScoreboardResponse:
        """Say how right routing was over the last jobs."""
        count = request.job_count or MOST_JOBS
        outcomes = await self._outcomes.last(count)
        families = await self._store.families([outcome.job_id for outcome in outcomes])
        choices = [options_of(decision) for decision in await self._store.choices(count)]
        beliefs = self._memory.beliefs
        board = scoreboard(outcomes, choices, beliefs)
        message = scoreboard_message(board, beliefs, outcomes, families)
        if self._offline is not None:
            message.offline.CopyFrom(self._offline)
        return pb.GetScoreboardResponse(scoreboard=message)
