"""Benchmarks as jobs: a real intake and database, and a routing that plans what a test says."""

# ruff: noqa: N802 - RPCs are named as in their proto

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest_asyncio
from qm.routing.v1 import routing_pb2 as pb
from qm.type.v1 import requester_pb2

from mesh.errors import InvalidArgument
from mesh.identity import Authority
from services.execution.benchmarking import REQUESTER, Benchmarking
from services.execution.job import JobId, State
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.executing import BELL, Parts, execution, submission


class Planner:
    """Routing, as far as benchmarks go."""

    def __init__(self) -> None:
        self.plan: pb.BenchmarkPlan | None = pb.BenchmarkPlan(
            benchmark_id=str(uuid.uuid4()), backend_id="sim.statevector", family="ghz", openqasm=BELL, shot_count=4096
        )
        self.started: list[pb.StartBenchmarkRequest] = []

    async def PlanBenchmark(self, _request: pb.PlanBenchmarkRequest) -> pb.PlanBenchmarkResponse:
        return pb.PlanBenchmarkResponse(plan=self.plan)

    async def StartBenchmark(self, request: pb.StartBenchmarkRequest) -> pb.StartBenchmarkResponse:
        self.started.append(request)
        return pb.StartBenchmarkResponse()


@pytest_asyncio.fixture(scope="module")
async def quiet(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Parts]:
    """A database where no other test has jobs."""
    async with execution(postgres, nats_server, authority) as make:
        yield make()


def of(parts: Parts, planner: Planner) -> Benchmarking:
    return Benchmarking(parts.intake(), parts.store, cast("Any", planner))


async def test_a_benchmark_is_a_job_of_nobody_that_is_not_billed_and_comes_once(quiet: Parts):
    planner = Planner()
    benchmarking = of(quiet, planner)
    assert await benchmarking.step()
    [started] = planner.started
    job = await quiet.read(JobId(uuid.UUID(started.job_id)))
    assert (job.requester, job.requested_hardware, job.shot_count) == (REQUESTER, "sim.statevector", 4096)
    assert job.requester.environment == requester_pb2.ENVIRONMENT_TEST, "which billing never charges"
    assert quiet.routing.asked[-1].objective.deadline.seconds == 20, "what may take long is left out"
    assert not await benchmarking.step(), "a job waits now, and nothing may disturb it"
    await quiet.store.end(job, None, State.CANCELLED, now=quiet.clock())
    assert await benchmarking.step(), "as after a crash that forgot what was started"
    assert planner.started[1] == started


async def test_no_benchmark_is_taken_on_while_a_user_waits_or_everything_is_fresh(quiet: Parts):
    planner = Planner()
    waiting = await quiet.accepted()
    assert not await of(quiet, planner).step()
    await quiet.store.end(waiting, None, State.CANCELLED, now=quiet.clock())
    planner.plan = None
    assert not await of(quiet, planner).step()
    assert not planner.started


async def test_a_benchmark_that_its_backend_refuses_is_started_without_a_job(quiet: Parts):
    planner = Planner()
    quiet.routing.always["ChooseBackend"] = InvalidArgument("it does not fit", reason="PROGRAM_DOES_NOT_FIT")
    try:
        assert await of(quiet, planner).step()
    finally:
        quiet.routing.always.clear()
    assert [request.job_id for request in planner.started] == [""]


def test_no_key_is_of_the_team_of_benchmarks():
    assert uuid.UUID(submission(REQUESTER).requester.team_id).version is None
