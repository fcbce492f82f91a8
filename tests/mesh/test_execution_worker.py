"""A worker at a real queue: what it takes, and how it hands over."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from mesh.call import Call, current, serving
from mesh.errors import Unavailable
from mesh.events import Message
from mesh.streams import work_subject
from services.execution import lease, patience, rows, turns, worker
from services.execution.job import LEASE, Job, JobId, NewJob, Priority, Queue, State
from services.execution.run import MAX_ATTEMPTS
from services.execution.worker import Worker
from tests.mesh.executing import FakeChildren, Parts, ended, until, working

DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")


@pytest_asyncio.fixture
async def parts(make: Callable[[], Parts], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)
    parts = make()
    parts.outbox.start()
    yield parts
    await parts.outbox.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("priority", Priority)
async def test_jobs_of_both_priorities_are_run(parts: Parts, priority: Priority):
    async with working(parts, FakeChildren()):
        jobs = [await parts.accepted(priority=int(priority)) for _ in range(10)]
        assert [(await ended(parts, job)).state for job in jobs] == [State.COMPLETED] * 10
    assert parts.billing.states == {"settled": 10}


async def test_a_message_without_a_job_is_dropped_and_the_next_is_heard(parts: Parts):
    subject = work_subject(parts.routing.pool, Queue.ENTERPRISE_SHORT.word)
    await parts.events.publish(Message(str(uuid.uuid4()), subject, b"\xff nonsense"))
    async with working(parts, FakeChildren()):
        assert (await ended(parts, await parts.accepted())).state is State.COMPLETED


async def test_a_job_whose_message_was_lost_is_found(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts.outbox, "publish", lambda _: None)
    async with working(parts, FakeChildren()):
        job = await parts.accepted()
        await parts.database.execute("DELETE FROM outbox")
        assert (await ended(parts, job)).state is State.COMPLETED


async def test_a_job_accepted_in_the_worker_s_own_process_needs_no_queue(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    published = list[str]()
    publish_all = parts.events.publish_all

    async def note(messages: Sequence[Message]) -> list[Exception | None]:
        published.extend(message.subject for message in messages)
        return await publish_all(messages)

    async def is_empty() -> bool:
        return not await parts.database.fetchval("SELECT count(*) FROM outbox")

    monkeypatch.setattr(worker, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(parts.events, "publish_all", note)
    async with working(parts, FakeChildren()):
        for _ in range(2):  # the first may come while the worker still looks for what it has not heard of
            published.clear()
            assert (await ended(parts, await parts.accepted())).state is State.COMPLETED
            await until(is_empty)
    assert [subject for subject in published if subject.startswith("jobs.work.")] == []


async def test_a_job_begins_with_the_commit_that_accepts_it_where_a_place_is_free_and_none_waits(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    go_on = asyncio.Event()
    async with working(parts, FakeChildren(go_on, go_on), engine_count=1) as place:
        await until(lambda: is_drained(place))
        monkeypatch.setattr(parts.store, "claim_next", AsyncMock(return_value=[]))  # nobody need ask for them
        first, second = [await parts.accepted() for _ in range(2)]  # an engine, and the place beside it
        began = [await parts.read(job.job_id) for job in (first, second)]
        assert [(job.state, job.version, job.attempt_count, job.start_time) for job in began] == [
            (State.RUNNING, 2, 1, job.create_time) for job in (first, second)
        ]
        assert [first.state, *began[0].history] == [State.QUEUED, State.QUEUED, State.RUNNING]
        assert (await parts.read((await parts.accepted()).job_id)).state is State.QUEUED  # no place is left
        go_on.set()
        assert [(await ended(parts, job)).state for job in (first, second)] == [State.COMPLETED] * 2


@pytest.mark.parametrize("script", [[], [asyncio.Event() for _ in range(3)]], ids=["done", "running"])
async def test_what_is_computed_ahead_of_a_commit_that_fails_leaves_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, script: list[asyncio.Event]
):
    monkeypatch.setattr(lease, "GRACE_SECONDS", 0.0)
    children = FakeChildren(*script)
    async with working(parts, children, engine_count=1) as place:
        for runs in range(1, 4):  # more often than there are places
            await until(lambda: is_drained(place))

            async def fail(_jobs: Sequence[NewJob], runs: int = runs) -> set[JobId]:
                while children.runs < runs:
                    await asyncio.sleep(0)
                raise DOWN

            with monkeypatch.context() as outage:
                outage.setattr(parts.store, "insert", fail)
                with pytest.raises(Unavailable):
                    await parts.accepted()
        assert (parts.signing.calls["PrepareRecord"], parts.billing.states) == (0, {"open": 3})  # for the sweeper
        assert (await ended(parts, await parts.accepted())).state is State.COMPLETED


async def test_a_worker_that_ends_during_the_commit_of_its_job_does_not_break_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    children, go_on, insert = FakeChildren(), asyncio.Event(), parts.store.insert

    async def slowly(jobs: Sequence[NewJob]) -> set[JobId]:
        await go_on.wait()
        return await insert(jobs)

    monkeypatch.setattr(parts.store, "insert", slowly)
    async with working(parts, children, drain_seconds=0.05) as place:
        await until(lambda: is_drained(place))
        accepting = asyncio.create_task(parts.accepted())
        await children.running.wait()
    go_on.set()
    job = await accepting
    assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.RUNNING, "open")  # until its lease is over


async def is_drained(place: Worker) -> bool:
    """Whether a worker knows that no enterprise's short job waits."""
    return Queue.ENTERPRISE_SHORT in place._drained


async def test_no_job_begins_at_once_before_those_that_wait(parts: Parts):
    earlier = [await parts.accepted() for _ in range(40)]
    async with working(parts, FakeChildren()):
        later = await parts.accepted()
        assert (await ended(parts, later)).state is State.COMPLETED
        assert [job.job_id for job in earlier if (await parts.read(job.job_id)).start_time is None] == []


async def test_a_job_that_is_overheard_is_no_part_of_the_call_that_accepted_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    served = list[Call | None]()
    claim = turns.Turns.claim

    async def note(claiming: turns.Turns, queue: Queue) -> list[Job]:
        served.append(current())
        return await claim(claiming, queue)

    monkeypatch.setattr(turns.Turns, "claim", note)
    async with working(parts, FakeChildren()):
        for _ in range(3):
            with serving(Call("edge", "order-1", address="192.0.2.1")):
                job = await parts.accepted()
            assert (await ended(parts, job)).state is State.COMPLETED
    assert set(served) == {None}


async def test_a_job_that_breaks_its_workers_fails(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "LEASE", dt.timedelta(seconds=0.02))
    monkeypatch.setattr(turns, "LEASE", dt.timedelta(seconds=0.02))
    monkeypatch.setattr(rows, "LEASE", dt.timedelta(seconds=0.02))
    async with working(parts, FakeChildren(*[RuntimeError("a bug")] * MAX_ATTEMPTS)):
        job = await parts.accepted()
        assert (await ended(parts, job)).error_type == "server_error"
    assert parts.hold(job) == "released"


async def test_an_outage_longer_than_any_number_of_deliveries_is_survived(parts: Parts):
    parts.signing.before["SignRecord"] += [DOWN] * 60
    children = FakeChildren()
    async with working(parts, children):
        job = await parts.accepted()
        assert (await ended(parts, job)).state is State.COMPLETED
    assert (children.runs, parts.signing.calls["SignRecord"]) == (1, 61)


async def test_a_database_that_cannot_be_reached_costs_a_job_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    claim, outage = parts.store.claim_next, [DOWN] * 2 * MAX_ATTEMPTS

    async def fail_at_first(*arguments: Any, **options: Any) -> Job | None:
        if outage:
            raise outage.pop()
        return await claim(*arguments, **options)

    monkeypatch.setattr(parts.store, "claim_next", fail_at_first)
    async with working(parts, FakeChildren()):
        assert (await ended(parts, await parts.accepted())).state is State.COMPLETED
    assert outage == []


async def test_a_running_job_is_cancelled_over_the_queue_within_a_second(parts: Parts):
    children = FakeChildren(asyncio.Event())
    async with working(parts, children):
        job = await parts.accepted()
        await children.running.wait()
        started = time.monotonic()
        await parts.cancellations().cancel(job.job_id, job.requester)
        assert (await ended(parts, job)).state is State.CANCELLED
        assert time.monotonic() - started < 1


async def test_a_worker_that_stops_finishes_what_it_can(parts: Parts):
    go_on = asyncio.Event()
    children = FakeChildren(go_on)
    async with working(parts, children):
        job = await parts.accepted()
        await children.running.wait()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    assert (await parts.read(job.job_id)).state is State.COMPLETED


async def test_a_worker_that_stops_leaves_a_long_job_to_another_at_once(parts: Parts):
    children = FakeChildren(asyncio.Event())
    async with working(parts, children, "first", drain_seconds=0):
        job = await parts.accepted()
        await children.running.wait()
    assert (await parts.read(job.job_id)).state is State.RUNNING
    started = time.monotonic()
    async with working(parts, FakeChildren(), "second"):
        assert (await ended(parts, job)).state is State.COMPLETED
    assert time.monotonic() - started < LEASE.total_seconds() / 3


async def test_a_job_whose_worker_died_is_taken_by_another(parts: Parts):
    job = await parts.accepted()
    assert await parts.store.claim(job.job_id, "killed", lease=lease.LEASE, now=parts.clock())
    children = FakeChildren()
    async with working(parts, children, "another"):
        assert (await parts.read(job.job_id)).state is State.RUNNING
        assert children.runs == 0
        parts.clock.ahead = lease.LEASE + dt.timedelta(seconds=1)
        assert (await ended(parts, job)).state is State.COMPLETED
    assert children.runs == 1


async def test_a_busy_worker_leaves_the_next_job_to_a_free_one(parts: Parts):
    go_on = asyncio.Event()
    busy, free = FakeChildren(go_on, go_on), FakeChildren()
    busy.count = 2

    async def full() -> bool:  # its engine's job, and the one that is claimed ahead
        return busy.runs == 2

    async with working(parts, busy, "busy", engine_count=1):
        held = [await parts.accepted() for _ in range(2)]
        await until(full)
        async with working(parts, free, "free"):
            assert (await ended(parts, await parts.accepted())).state is State.COMPLETED
        assert (busy.runs, free.runs) == (2, 1)
        go_on.set()
        assert [(await ended(parts, job)).state for job in held] == [State.COMPLETED] * 2
