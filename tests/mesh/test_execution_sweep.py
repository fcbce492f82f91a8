"""What a crash left open is closed: holds without a living job, and jobs that nobody has."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from mesh.errors import Conflict, Unavailable
from services.execution.job import LEASE, Job, State
from services.execution.run import Verdict
from services.execution.sweep import Sweeper
from tests.mesh.executing import FakeChildren, Parts

STALLED = dt.timedelta(minutes=5)
DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")


@pytest_asyncio.fixture
async def parts(make: Callable[[], Parts]) -> Parts:
    parts = make()
    await parts.database.execute("DELETE FROM jobs")
    return parts


@pytest.fixture
def sweeper(parts: Parts) -> Sweeper:
    return Sweeper(
        parts.store,
        cast("Any", parts.billing),
        stalled_after=STALLED,
        hold_age=dt.timedelta(seconds=60),
        clock=parts.clock,
    )


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


async def work_messages(parts: Parts, job: Job) -> int:
    return len([subject for subject in await parts.told(job) if subject.startswith("jobs.work.")])


async def test_every_hold_is_brought_to_where_its_job_is(parts: Parts, sweeper: Sweeper):
    waiting, running, completed, failed, cancelled = [await parts.accepted() for _ in range(5)]
    await parts.store.claim(running.job_id, "worker", lease=LEASE, now=parts.clock())
    for job, state in ((completed, State.COMPLETED), (failed, State.FAILED), (cancelled, State.CANCELLED)):
        assert await parts.store.end(job, None, state, now=parts.clock())
    never_stored = str(uuid.uuid4())
    parts.billing.holds[never_stored] = "open"
    for _ in range(2):  # a second round finds nothing to do
        await sweeper.sweep()
        holds = [parts.hold(job) for job in (waiting, running, completed, failed, cancelled)]
        assert holds == ["open", "open", "settled", "released", "released"]
        assert parts.billing.holds[never_stored] == "released"
        assert (parts.billing.calls["SettleHold"], parts.billing.calls["ReleaseHold"]) == (1, 3)


async def test_a_hold_that_billing_will_not_close_keeps_no_other_open(parts: Parts, sweeper: Sweeper):
    orphans = [str(uuid.uuid4()) for _ in range(3)]
    parts.billing.holds |= dict.fromkeys(orphans, "open")
    parts.billing.before["ReleaseHold"].append(Conflict("settled just now", reason="HOLD_SETTLED"))
    await sweeper.sweep()
    assert [parts.billing.holds[orphan] for orphan in orphans] == ["open", "released", "released"]


async def test_what_is_not_stalled_is_left_alone(parts: Parts, sweeper: Sweeper):
    fresh, running = await parts.accepted(), await parts.accepted()
    parts.clock.ahead = STALLED - dt.timedelta(seconds=5)
    await parts.store.claim(running.job_id, "worker", lease=LEASE, now=parts.clock())
    parts.clock.ahead = STALLED - dt.timedelta(seconds=1)
    await sweeper.sweep()
    assert [await work_messages(parts, job) for job in (fresh, running)] == [1, 1]


async def test_a_waiting_job_without_a_message_is_queued_again(parts: Parts, sweeper: Sweeper):
    job = await parts.accepted()
    parts.clock.ahead = 2 * STALLED
    await sweeper.sweep()
    await sweeper.sweep()
    assert await work_messages(parts, job) == 2
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    parts.clock.ahead = 4 * STALLED
    await sweeper.sweep()
    assert await work_messages(parts, job) == 2
    assert (await parts.read(job.job_id)).state is State.COMPLETED


async def test_a_job_whose_worker_died_is_queued_again(parts: Parts, sweeper: Sweeper):
    job, children = await parts.accepted(), FakeChildren()
    await parts.store.claim(job.job_id, "killed", lease=LEASE, now=parts.clock())
    parts.clock.ahead = 2 * STALLED
    await sweeper.sweep()
    assert await work_messages(parts, job) == 2
    assert await parts.runner("another", children).run_job(job.job_id) is Verdict.DONE
    assert children.runs == 1


async def test_a_long_run_whose_lease_lives_is_not_stalled(parts: Parts, sweeper: Sweeper):
    job = await parts.accepted()
    long_lease = 3 * STALLED
    await parts.store.claim(job.job_id, "worker", lease=long_lease, now=parts.clock())
    parts.clock.ahead = 2 * STALLED
    await sweeper.sweep()
    assert await work_messages(parts, job) == 1


async def test_two_sweepers_queue_a_stalled_job_once(parts: Parts, sweeper: Sweeper):
    jobs = [await parts.accepted() for _ in range(20)]
    parts.clock.ahead = 2 * STALLED
    await asyncio.gather(sweeper.sweep(), sweeper.sweep())
    assert [await work_messages(parts, job) for job in jobs] == [2] * 20


async def test_a_peer_that_is_down_postpones_the_sweep(parts: Parts, sweeper: Sweeper, logged: list[Any]):
    orphan = str(uuid.uuid4())
    parts.billing.holds[orphan] = "open"
    parts.billing.before["ListOpenHolds"] += [DOWN, DOWN]
    sweeping = asyncio.create_task(sweeper.run(0.01))
    async with asyncio.timeout(5):
        while parts.billing.holds[orphan] == "open":
            await asyncio.sleep(0.01)
    sweeping.cancel()
    assert [line["event"] for line in logged if line["event"] == "sweep_postponed"] == ["sweep_postponed"] * 2
