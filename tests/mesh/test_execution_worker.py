"""A worker at a real queue: slots, dead letters, and handing over."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.js.errors import NotFoundError
from structlog.testing import capture_logs

from mesh.errors import Unavailable
from mesh.events import Events, Message
from mesh.streams import DEAD_LETTERS, JOBS_WORK, cancel_subject, dead_subject, work_subject
from services.execution import run, worker
from services.execution.config import WorkerConfig
from services.execution.job import Job, Priority, State
from services.execution.lease import LEASE
from services.execution.run import MAX_ATTEMPTS
from services.execution.worker import Worker
from tests.conftest import RunningNats
from tests.mesh.executing import FakeChildren, Parts, until

DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")


@pytest_asyncio.fixture
async def parts(make: Callable[[], Parts], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.0)
    parts = make()
    parts.outbox.start()
    yield parts
    await parts.outbox.close()


@pytest_asyncio.fixture(scope="module")
async def operator(nats_server: RunningNats) -> AsyncIterator[Events]:
    events = await Events.connect(nats_server.url, nats_server.identity("operator"))
    yield events
    await events.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@asynccontextmanager
async def working(
    parts: Parts, children: FakeChildren, name: str = "worker", drain_seconds: float = 5
) -> AsyncIterator[Worker]:
    """A worker of the test's own pool."""
    config = WorkerConfig(
        listen="127.0.0.1:0", identity_folder=Path(), pool=parts.routing.pool, drain_seconds=drain_seconds
    )
    worker = Worker(parts.events, parts.runner(name, children), config)
    heard = await parts.events.subscribe(cancel_subject("*"), worker.hear_cancel)
    pulls = [asyncio.create_task(worker.pull(priority)) for priority in Priority]
    try:
        yield worker
    finally:
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*pulls, return_exceptions=True)
        await worker.finish()
        await heard.unsubscribe()


async def ended(parts: Parts, job: Job) -> Job:
    async def check() -> bool:
        return (await parts.read(job.job_id)).state.ended

    await until(check)
    return await parts.read(job.job_id)


async def buried(operator: Events, parts: Parts) -> tuple[bytes, str]:
    """The payload of the last dead letter of the test's pool, and why it is there."""
    subject = dead_subject(JOBS_WORK.name, work_subject(parts.routing.pool, "standard"))
    letters: list[tuple[bytes, str]] = []

    async def found() -> bool:
        with suppress(NotFoundError):
            message = await operator.jetstream.get_last_msg(DEAD_LETTERS.name, subject)
            letters.append((message.data or b"", (message.headers or {})["Dead-Reason"]))
        return bool(letters)

    await until(found)
    return letters[0]


@pytest.mark.parametrize("priority", Priority)
async def test_jobs_of_both_priorities_are_run(parts: Parts, priority: Priority):
    async with working(parts, FakeChildren()):
        jobs = [await parts.accepted(priority=int(priority)) for _ in range(10)]
        assert [(await ended(parts, job)).state for job in jobs] == [State.COMPLETED] * 10
    assert parts.billing.states == {"settled": 10}


async def test_a_message_that_is_no_work_is_buried_and_the_next_is_run(parts: Parts, operator: Events):
    subject = work_subject(parts.routing.pool, "standard")
    await parts.events.publish(Message(str(uuid.uuid4()), subject, b"\xff nonsense"))
    async with working(parts, FakeChildren()):
        assert (await ended(parts, await parts.accepted())).state is State.COMPLETED
        assert await buried(operator, parts) == (b"\xff nonsense", "not a JobWork message")


async def test_a_job_that_breaks_its_workers_fails_and_its_message_is_buried(parts: Parts, operator: Events):
    async with working(parts, FakeChildren(*[RuntimeError("a bug")] * MAX_ATTEMPTS)):
        job = await parts.accepted()
        assert (await ended(parts, job)).error_type == "server_error"
        payload, reason = await buried(operator, parts)
    assert str(job.job_id).encode() in payload
    assert "every attempt" in reason
    assert parts.hold(job) == "released"


async def test_an_outage_longer_than_any_number_of_deliveries_is_survived(parts: Parts):
    parts.signing.before["SignRecord"] += [DOWN] * 60
    children = FakeChildren()
    async with working(parts, children):
        job = await parts.accepted()
        assert (await ended(parts, job)).state is State.COMPLETED
    assert (children.runs, parts.signing.calls["SignRecord"]) == (1, 61)


async def test_a_database_that_cannot_be_reached_costs_a_job_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    claim, outage = parts.store.claim, [DOWN] * 2 * MAX_ATTEMPTS

    async def fail_at_first(*arguments: Any, **options: Any) -> Job | None:
        if outage:
            raise outage.pop()
        return await claim(*arguments, **options)

    monkeypatch.setattr(parts.store, "claim", fail_at_first)
    async with working(parts, FakeChildren()):
        assert (await ended(parts, await parts.accepted())).state is State.COMPLETED
    assert outage == []


async def test_a_running_job_is_cancelled_over_the_queue_within_a_second(parts: Parts):
    children = FakeChildren(asyncio.Event())
    async with working(parts, children):
        job = await parts.accepted()
        await children.running.wait()
        started = time.monotonic()
        await parts.cancellations().cancel(job.job_id, job.requester.team_id)
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
