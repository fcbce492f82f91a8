"""Whose job is next: fair between teams and priorities, at a real PostgreSQL and a real queue."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2
from structlog.testing import capture_logs

from mesh.errors import InvalidArgument
from services.execution import statements, store
from services.execution.job import LEASE, Job, Priority, Queue, State
from services.execution.lines import pool_depths
from services.execution.turns import Turns
from tests.mesh.executing import BELL_OUTCOME, FakeChildren, Parts, ended, new_team, until, working

LONG = routing_pb2.Estimate()
LONG.duration_p50.FromTimedelta(dt.timedelta(seconds=60))


@pytest_asyncio.fixture
async def parts(make: Callable[[], Parts]) -> AsyncIterator[Parts]:
    parts = make()
    parts.outbox.start()
    yield parts
    await parts.outbox.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


async def wait_in_line(parts: Parts, count: int, team: requester_pb2.Requester, **changes: Any) -> list[Job]:
    return [await parts.accepted(team=team, **changes) for _ in range(count)]


async def claims(turns: Turns, count: int) -> list[Job]:
    """What so many claims give."""
    return [job for _ in range(count) for job in await turns.claim(Queue.SHORT)]


def predict(parts: Parts, seconds: float) -> None:
    parts.routing.estimate.duration_p50.FromTimedelta(dt.timedelta(seconds=seconds))


async def test_one_job_is_next_though_another_team_sent_many_before(parts: Parts):
    many, one = new_team("academic"), new_team("academic")
    await wait_in_line(parts, 60, many)
    turns = parts.turns()
    for _ in range(10):
        await turns.claim(Queue.SHORT)
    (job,) = await wait_in_line(parts, 1, one)
    claimed = [*await turns.claim(Queue.SHORT), *await turns.claim(Queue.SHORT)]
    assert job.job_id in {each.job_id for each in claimed}


async def test_teams_get_the_same_time_though_their_jobs_differ_in_length(parts: Parts):
    slow, quick = new_team("academic"), new_team("academic")
    predict(parts, 4.0)
    await wait_in_line(parts, 15, slow)
    predict(parts, 1.0)
    await wait_in_line(parts, 50, quick)
    turns = parts.turns()
    shares = Counter(job.requester.team_id for job in await claims(turns, 50))
    assert (shares[slow.team_id], shares[quick.team_id]) == (10, 40)


async def test_what_is_foretold_of_turns_is_what_the_turns_are(parts: Parts):
    many, few, urgent = (new_team("commercial") for _ in range(3))
    predict(parts, 1.0)
    await wait_in_line(parts, 40, many)
    await wait_in_line(parts, 2, few)
    await wait_in_line(parts, 1, urgent, priority=int(Priority.PRIORITY))
    test_key = new_team("commercial")
    test_key.environment = requester_pb2.ENVIRONMENT_TEST
    await wait_in_line(parts, 1, test_key, test_faults=pb.TestFaults(queue_delay=dt.timedelta(seconds=60)))
    line = f"pool:{parts.routing.pool}/short"
    told = pool_depths(await parts.store.waiting())
    assert told[line].teams == {many.team_id: 40 + 2 + 1, few.team_id: 2 + 3 + 1}, "one is held and is in no line"
    assert f"pool:held.{parts.routing.pool}" not in told
    assert parts.routing.asked[-1].offers[0].line == "short"
    turns = parts.turns()
    [last] = await wait_in_line(parts, 1, few)
    claimed = [job.job_id for job in await claims(turns, 20)]
    assert claimed.index(last.job_id) == pytest.approx(told[line].teams[few.team_id], abs=1)


async def test_jobs_of_a_team_keep_their_order(parts: Parts):
    jobs = await wait_in_line(parts, 5, new_team("academic"))
    turns = parts.turns()
    assert [job.job_id for job in await claims(turns, 5)] == [job.job_id for job in jobs]
    assert await turns.claim(Queue.SHORT) == []


async def test_priority_goes_first_and_leaves_a_fifth_to_the_others(parts: Parts):
    predict(parts, 1.0)
    await wait_in_line(parts, 10, new_team("commercial"))
    await wait_in_line(parts, 40, new_team("commercial"), priority=int(Priority.PRIORITY))
    turns = parts.turns()
    claimed = [job.priority for job in await claims(turns, 40)]
    assert claimed[0] is Priority.PRIORITY
    assert Counter(claimed) == {Priority.PRIORITY: 32, Priority.STANDARD: 8}


async def test_more_teams_than_are_compared_all_get_their_turn(parts: Parts):
    teams = [new_team("academic") for _ in range(3 * store.MOST_TEAMS)]
    for team in teams:
        await parts.accepted(team=team)
    turns = parts.turns()
    claimed = [job.requester.team_id for job in await claims(turns, len(teams))]
    assert sorted(claimed) == sorted(team.team_id for team in teams)


async def test_workers_that_look_at_once_get_different_jobs(parts: Parts):
    jobs = await wait_in_line(parts, 40, new_team("academic"))
    workers = [parts.turns(f"worker-{number}") for number in range(8)]
    claimed = await asyncio.gather(*(claims(turns, 5) for turns in workers))
    taken = [job.job_id for some in claimed for job in some]
    assert len(set(taken)) == len(taken)
    left = [job.job_id for job in await claims(workers[0], len(jobs))]
    assert sorted(taken + left) == sorted(job.job_id for job in jobs)


@pytest.mark.parametrize(
    ("plan", "environment", "estimate", "queue"),
    [
        ("academic", requester_pb2.ENVIRONMENT_LIVE, None, Queue.SHORT),
        ("academic", requester_pb2.ENVIRONMENT_LIVE, LONG, Queue.LONG),
        ("academic", requester_pb2.ENVIRONMENT_ENTERPRISE, None, Queue.ENTERPRISE_SHORT),
        ("enterprise", requester_pb2.ENVIRONMENT_TEST, LONG, Queue.ENTERPRISE_LONG),
    ],
)
async def test_a_job_waits_where_its_plan_and_its_length_say(
    parts: Parts, plan: str, environment: Any, estimate: routing_pb2.Estimate | None, queue: Queue
):
    team = new_team(plan)
    team.environment = environment
    parts.routing.estimate = estimate or routing_pb2.Estimate()
    job = await parts.accepted(team=team)
    turns = parts.turns()
    for other in set(Queue) - {queue}:
        assert await turns.claim(other) == []
    (claimed,) = await turns.claim(queue)
    assert (claimed.job_id, claimed.queue) == (job.job_id, queue)


async def test_very_short_jobs_are_claimed_together_and_teams_take_turns(parts: Parts):
    predict(parts, 0.001)
    many, few = new_team("academic"), new_team("academic")
    await wait_in_line(parts, 2 * store.MOST_AT_ONCE, many)
    await wait_in_line(parts, 3, few)
    turns = parts.turns()
    batches = [Counter(job.requester.team_id for job in await turns.claim(Queue.SHORT)) for _ in range(4)]
    assert batches == [
        {many.team_id: store.MOST_AT_ONCE},
        {few.team_id: 3, many.team_id: store.MOST_AT_ONCE - 3},
        {many.team_id: 3},
        {},
    ]


@pytest.mark.parametrize(("first", "second"), [(0.001, 4.0), (4.0, 0.001), (0.0, 0.0)])
async def test_a_job_that_is_longer_or_of_unknown_length_is_claimed_alone(parts: Parts, first: float, second: float):
    team = new_team("academic")
    predict(parts, first)
    (one,) = await wait_in_line(parts, 1, team)
    predict(parts, second)
    await wait_in_line(parts, 1, team)
    assert [job.job_id for job in await parts.turns().claim(Queue.SHORT)] == [one.job_id]


async def test_a_batch_of_jobs_ends_and_each_fails_alone(parts: Parts):
    predict(parts, 0.001)
    bad = InvalidArgument("parameters.qasm: too wide", reason="OUT_OF_MEMORY")
    jobs = await wait_in_line(parts, 10, new_team("academic"))
    async with working(parts, FakeChildren(BELL_OUTCOME, bad)):
        states = Counter([(await ended(parts, job)).state for job in jobs])
    assert states == {State.COMPLETED: 9, State.FAILED: 1}
    assert parts.billing.states == {"settled": 9, "released": 1}


async def test_long_jobs_of_one_team_leave_an_engine_to_another_teams_short_job(parts: Parts):
    parts.routing.estimate = LONG
    go_on = asyncio.Event()
    children = FakeChildren(go_on, go_on)
    async with working(parts, children):  # two engines
        longs = await wait_in_line(parts, 3, new_team("academic"))
        await children.running.wait()
        parts.routing.estimate = routing_pb2.Estimate()
        children.script.clear()
        assert (await ended(parts, await parts.accepted(team=new_team("academic")))).state is State.COMPLETED
        states = Counter([(await parts.read(job.job_id)).state for job in longs])
        assert states == {State.RUNNING: 1, State.QUEUED: 2}
        go_on.set()
        assert [(await ended(parts, job)).state for job in longs] == [State.COMPLETED] * 3


async def test_an_engine_of_enterprises_waits_for_their_jobs(parts: Parts):
    go_on = asyncio.Event()
    children = FakeChildren(*[go_on] * 4)
    async with working(parts, children, engine_count=2, enterprise_engine_count=1):
        common = await wait_in_line(parts, 4, new_team("academic"))

        async def full() -> bool:  # one engine's, and the one that is claimed ahead
            return children.runs == 2

        await until(full)
        children.script.clear()
        assert (await ended(parts, await parts.accepted(team=new_team("enterprise")))).state is State.COMPLETED
        assert children.runs == 3
        go_on.set()
        assert [(await ended(parts, job)).state for job in common] == [State.COMPLETED] * 4


async def test_a_claim_reads_as_little_whether_few_jobs_wait_or_many(parts: Parts):
    job = await parts.accepted(team=new_team("academic"))
    priorities = list(Priority)

    async def blocks_read() -> int:
        await parts.database.execute("VACUUM ANALYZE jobs")
        (plan,) = json.loads(
            await parts.database.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statements.CLAIM_NEXT}",
                parts.routing.pool, Queue.SHORT, priorities, [], [], store.MOST_TEAMS,
                uuid.uuid4(), "worker", parts.clock(), LEASE, store.MOST_AT_ONCE, store.VERY_SHORT_SECONDS,
            )
        )  # fmt: skip
        assert plan["Plan"]["Actual Rows"] == 1
        return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])

    columns = [
        row["column_name"]
        for row in await parts.database.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs'"
            " AND column_name NOT IN ('job_id', 'team_id', 'request_id')"
        )
    ]
    copied = ", ".join(columns)
    await parts.database.execute(
        f"INSERT INTO jobs (job_id, team_id, request_id, {copied})"  # noqa: S608 - names of columns
        f" SELECT uuidv7(), CASE WHEN n % 100 = 0 THEN gen_random_uuid() ELSE team_id END, n::text, {copied}"
        " FROM jobs, generate_series(1, 20000) AS n WHERE job_id = $1",
        job.job_id,
    )
    assert await blocks_read() < 250
