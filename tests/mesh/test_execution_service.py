"""Reading jobs and the marketplace, as the RPCs answer."""

from __future__ import annotations

from typing import Any, cast

import pytest
from google.protobuf.json_format import MessageToDict
from jsonschema import Draft202012Validator
from qm.execution.v1 import execution_pb2 as pb
from qm.type.v1 import requester_pb2

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound
from services.execution.algorithms.listing import load_catalogue
from services.execution.job import Job
from services.execution.market import Market
from services.execution.service import ExecutionService
from services.execution.watch import Watchers
from tests.mesh.executing import CIRCUIT, FakeChildren, Parts, new_team, submission

CALL = Call("edge")


@pytest.fixture
def service(parts: Parts) -> ExecutionService:
    market = Market(parts.catalogue, parts.store, cast("Any", parts.routing))
    return ExecutionService(
        parts.store,
        parts.intake(),
        market,
        Watchers(),
        parts.cancellations(),
        parts.downloads(),
        quotes=parts.quotes(),
        accounts=parts.provider_accounts,
    )


async def several(parts: Parts, team: requester_pb2.Requester, count: int) -> list[Job]:
    """Jobs of a team, newest first."""
    intake = parts.intake()
    return [(await intake.submit(submission(team)))[0] for _ in range(count)][::-1]


def ids(page: pb.ListJobsResponse) -> list[str]:
    return [job.job_id for job in page.jobs]


async def test_a_list_is_read_in_pages_forwards_and_backwards(parts: Parts, service: ExecutionService):
    team = new_team()
    await several(parts, new_team(), 2)
    expected = [str(job.job_id) for job in await several(parts, team, 5)]
    await several(parts, new_team(), 2)

    async def page(**where: str) -> tuple[list[str], bool]:
        answer = await service.ListJobs(pb.ListJobsRequest(requester=team, page_size=2, **where), CALL)
        return ids(answer), answer.has_more

    assert await page() == (expected[:2], True)
    assert await page(after_job_id=expected[1]) == (expected[2:4], True)
    assert await page(after_job_id=expected[3]) == (expected[4:], False)
    assert await page(after_job_id=expected[4]) == ([], False)
    assert await page(before_job_id=expected[4]) == (expected[2:4], True)
    assert await page(before_job_id=expected[2]) == (expected[:2], False)
    assert await page(before_job_id=expected[0]) == ([], False)


async def test_a_list_can_be_of_one_state_and_carries_no_records(parts: Parts, service: ExecutionService):
    team = new_team()
    waiting, done = await several(parts, team, 2)
    await parts.runner().run_job(done.job_id)
    for state, job in ((pb.JOB_STATE_QUEUED, waiting), (pb.JOB_STATE_COMPLETED, done)):
        page = await service.ListJobs(pb.ListJobsRequest(requester=team, page_size=9, state=state), CALL)
        assert (ids(page), page.jobs[0].record) == ([str(job.job_id)], b"")
    read = await service.GetJob(pb.GetJobRequest(requester=team, job_id=str(done.job_id)), CALL)
    assert (read.job.record, read.job.seal.key_id) == ((await parts.read(done.job_id)).record, "key-1")


async def test_a_record_is_not_told_before_it_is_sealed(parts: Parts, service: ExecutionService):
    (job,) = await several(parts, new_team(), 1)
    await parts.store.claim(job.job_id, "worker", lease=parts.clock() - parts.clock(), now=parts.clock())
    assert await parts.store.keep_record(job.job_id, "worker", b'{"secret":1}')
    read = await service.GetJob(pb.GetJobRequest(requester=job.requester, job_id=str(job.job_id)), CALL)
    assert (read.job.state, read.job.record) == (pb.JOB_STATE_RUNNING, b"")


async def test_another_teams_job_does_not_exist(parts: Parts, service: ExecutionService):
    (job,) = await several(parts, new_team(), 1)
    stranger, job_id = new_team(), str(job.job_id)
    with pytest.raises(NotFound):
        await service.GetJob(pb.GetJobRequest(requester=stranger, job_id=job_id), CALL)
    with pytest.raises(NotFound):
        await service.CancelJob(pb.CancelJobRequest(requester=stranger, job_id=job_id), CALL)
    with pytest.raises(NotFound):
        await anext(service.WatchJob(pb.WatchJobRequest(requester=stranger, job_id=job_id), CALL))
    assert ids(await service.ListJobs(pb.ListJobsRequest(requester=stranger, page_size=9), CALL)) == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListJobsRequest(page_size=1, after_job_id="x"), "job_id"),
        (pb.ListJobsRequest(page_size=1, before_job_id="x"), "job_id"),
        (pb.ListJobsRequest(page_size=1, state=77), "state"),  # type: ignore[arg-type]
    ],
)
async def test_a_list_of_nonsense_is_refused(service: ExecutionService, request_: pb.ListJobsRequest, field: str):
    request_.requester.CopyFrom(new_team())
    with pytest.raises(InvalidArgument) as refusal:
        await service.ListJobs(request_, CALL)
    assert refusal.value.field == field


@pytest.mark.parametrize("ends", ["failed", "cancelled"])
async def test_a_job_without_a_result_costs_nothing(parts: Parts, service: ExecutionService, ends: str):
    (job,) = await several(parts, new_team(), 1)
    if ends == "cancelled":
        await service.CancelJob(pb.CancelJobRequest(requester=job.requester, job_id=str(job.job_id)), CALL)
    else:
        await parts.runner(children=FakeChildren(InvalidArgument("bad", reason="BAD"))).run_job(job.job_id)
    read = (await service.GetJob(pb.GetJobRequest(requester=job.requester, job_id=str(job.job_id)), CALL)).job
    assert (read.cost.micros, read.quoted_cost.micros) == (0, job.cost)
    assert read.error.message == ("bad" if ends == "failed" else "")


async def test_the_marketplace_names_algorithms_and_backends(service: ExecutionService):
    market = await service.ListAlgorithms(pb.ListAlgorithmsRequest(), CALL)
    told = {algorithm.algorithm_id: algorithm for algorithm in market.algorithms}
    assert list(told) == sorted(load_catalogue())
    assert (told[CIRCUIT].price.micros, told["vqe.molecular.v2"].price.micros) == (100_000, 50_000_000)
    assert list(told["vqe.molecular.v2"].required_parameters) == ["molecule"]
    assert [backend.backend_id for backend in market.backends] == ["first", "second"]


@pytest.mark.parametrize("algorithm_id", sorted(load_catalogue()))
async def test_an_algorithm_tells_schemas_that_its_example_fits(service: ExecutionService, algorithm_id: str):
    told = (await service.GetAlgorithm(pb.GetAlgorithmRequest(algorithm_id=algorithm_id), CALL)).algorithm
    for schema, example in (
        (told.parameters_schema, told.example_request),
        (told.result_schema, told.example_result),
    ):
        Draft202012Validator(MessageToDict(schema)).validate(MessageToDict(example))


async def test_availability_counts_the_jobs_before_and_tells_what_routing_says_of_the_teams_wait(
    parts: Parts, service: ExecutionService
):
    team = new_team("enterprise")

    async def availability() -> tuple[int, int]:
        answer = await service.GetAlgorithm(pb.GetAlgorithmRequest(algorithm_id=CIRCUIT, requester=team), CALL)
        first = answer.availability[0]
        assert first.backend.backend_id == "first"
        return first.queue_depth, first.estimated_wait_ms

    parts.routing.backends[0].queue_p50.FromMilliseconds(1234)
    depth, _ = await availability()
    await several(parts, team, 3)
    assert await availability() == (depth + 3, 1234)
    asked = parts.routing.listed[-1]
    assert (asked.team_id, asked.line) == (team.team_id, "enterprise-short")


async def test_an_unknown_algorithm_is_told_with_those_that_exist(service: ExecutionService):
    with pytest.raises(NotFound, match=CIRCUIT):
        await service.GetAlgorithm(pb.GetAlgorithmRequest(algorithm_id="grover.v1"), CALL)
