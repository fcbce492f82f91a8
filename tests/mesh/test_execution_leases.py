"""Who may write to a job: one worker at a time, and nobody after the end."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from mesh.call import Call, current, serving
from mesh.errors import Conflict, NotFound, Unavailable
from mesh.streams import cancel_subject
from services.execution import task
from services.execution.children import EngineFault
from services.execution.job import LEASE, Job, State
from services.execution.run import Runner, Verdict
from tests.mesh.executing import FakeChildren, Parts, new_team, submission

OVER = LEASE + dt.timedelta(seconds=1)
CRASH = EngineFault("the engine ended without an answer")
DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged, instead of printing it; and quick beats."""
    monkeypatch.setattr("services.execution.lease.BEAT_SECONDS", 0.01)
    with capture_logs() as lines:
        yield lines


async def computing(parts: Parts, name: str, job: Job) -> tuple[Runner, asyncio.Task[Verdict], asyncio.Event]:
    """A worker in the middle of a job, and what lets it go on."""
    go_on = asyncio.Event()
    children = FakeChildren(go_on)
    runner = parts.runner(name, children)
    task = asyncio.create_task(runner.run_job(job.job_id))
    await children.running.wait()
    return runner, task, go_on


async def test_a_second_worker_cannot_take_a_living_job(parts: Parts):
    job = await parts.accepted()
    _, first, go_on = await computing(parts, "first", job)
    assert await parts.runner("second").run_job(job.job_id) is Verdict.LATER
    go_on.set()
    assert await first is Verdict.DONE
    assert ((await parts.read(job.job_id)).state, len(parts.signing.records)) == (State.COMPLETED, 1)


async def test_a_short_run_ahead_of_a_commit_that_fails_ends_by_itself_and_leaves_nothing(parts: Parts):
    job = await parts.accepted()
    go_on, accepted = asyncio.Event(), asyncio.get_running_loop().create_future()
    ended = list[str]()

    class Engine(FakeChildren):
        async def call(self, request: task.Request, *, timeout: float, on_progress: Any = None) -> task.Answer:
            answer = await super().call(request, timeout=timeout, on_progress=on_progress)
            ended.append("healthy")
            return answer

    children = Engine(go_on)
    running = asyncio.create_task(parts.runner(children=children).run_claimed(job, accepted=accepted))
    await children.running.wait()
    accepted.set_result(False)
    await asyncio.sleep(0.05)  # well below the grace
    go_on.set()
    assert (await running, ended) == (Verdict.LATER, ["healthy"])
    assert (parts.signing.calls["PrepareRecord"], parts.hold(job)) == (0, "open")


async def test_a_lease_that_ran_out_passes_on_and_late_writes_change_nothing(parts: Parts):
    job, store = await parts.accepted(), parts.store
    assert await store.claim(job.job_id, "first", lease=LEASE, now=parts.clock())
    assert await store.claim(job.job_id, "second", lease=LEASE, now=parts.clock()) is None
    parts.clock.ahead = OVER
    now = parts.clock()
    assert await store.claim(job.job_id, "second", lease=LEASE, now=now)
    taken = await parts.read(job.job_id)

    assert await store.renew(job.job_id, "first", lease=LEASE, now=now) is None
    assert not await store.keep_record(job.job_id, "first", b"{}")
    assert await store.move(job.job_id, "first", parts.routing.backends[1], now, fault="") is None
    assert await store.end(job, "first", State.FAILED, now=now, error=("server_error", "late")) is False
    await store.report(job.job_id, "first", 0.9, "late", now)
    await store.give_back(job.job_id, "first", now)
    assert await parts.read(job.job_id) == taken
    assert await store.end(job, "second", State.COMPLETED, now=now)
    assert await store.end(job, "second", State.FAILED, now=now) is False


async def test_a_job_is_a_part_of_its_request_whoever_works_on_it(parts: Parts, log_lines: list[dict[str, Any]]):
    trace, request = f"00-{'a' * 32}-{'b' * 16}-01", submission()
    with serving(Call("edge", "req_7", time.monotonic() + 5, trace, "192.0.2.7")):
        job, _ = await parts.intake().submit(request)
    assert await parts.store.claim(job.job_id, "first", lease=LEASE, now=parts.clock())  # and it was never seen again
    parts.clock.ahead = OVER
    assert await parts.runner("second").run_job(job.job_id) is Verdict.DONE

    part = Call("execution", "req_7", traceparent=trace)
    assert (parts.signing.parts_of["SignRecord"], parts.billing.parts_of["SettleHold"]) == (part, part)
    (line,) = [line for line in log_lines if line["event"] == "job_ended"]
    assert (line["request_id"], line["trace_id"], line["job_id"]) == ("req_7", "a" * 32, str(job.job_id))
    assert current() is None


async def test_a_worker_that_lost_its_lease_stops_computing(parts: Parts):
    job = await parts.accepted()
    _, first, go_on = await computing(parts, "first", job)
    # Taken from it as if it had slept; it finds out when it renews.
    await parts.store.claim(job.job_id, "second", lease=LEASE, now=parts.clock() + OVER)
    parts.clock.ahead = LEASE / 2
    assert await first is Verdict.LATER
    assert not go_on.is_set()
    assert (await parts.read(job.job_id)).state is State.RUNNING


async def test_a_lease_is_renewed_for_as_long_as_a_job_runs(parts: Parts):
    job = await parts.accepted()
    _, first, go_on = await computing(parts, "first", job)
    for _ in range(3):
        parts.clock.ahead += LEASE / 2
        before = (await parts.read(job.job_id)).update_time
        async with asyncio.timeout(5):
            while (await parts.read(job.job_id)).update_time - before < LEASE / 4:
                await asyncio.sleep(0.005)
        assert await parts.runner("second").run_job(job.job_id) is Verdict.LATER
    go_on.set()
    assert await first is Verdict.DONE


async def test_a_job_outlives_renewals_that_fail(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    failed = asyncio.Event()

    async def fail(*_: object, **__: object) -> bool | None:
        failed.set()
        raise DOWN

    job = await parts.accepted()
    _, first, go_on = await computing(parts, "first", job)
    monkeypatch.setattr(parts.store, "renew", fail)
    parts.clock.ahead = LEASE / 2
    await failed.wait()
    go_on.set()
    assert await first is Verdict.DONE


async def test_a_job_delivered_twice_to_one_worker_runs_once(parts: Parts):
    job, go_on = await parts.accepted(), asyncio.Event()
    children = FakeChildren(go_on)
    runner = parts.runner("first", children)
    first = asyncio.create_task(runner.run_job(job.job_id))
    await children.running.wait()
    assert await runner.run_job(job.job_id) is Verdict.LATER
    go_on.set()
    assert await first is Verdict.DONE
    assert children.runs == 1


async def test_a_worker_that_stops_hands_its_job_over_at_once(parts: Parts):
    job = await parts.accepted()
    _, first, _ = await computing(parts, "first", job)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await parts.runner("second").run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (ended.state, ended.attempt_count) == (State.COMPLETED, 1)


async def test_a_queued_job_is_cancelled_and_its_money_given_back(parts: Parts):
    job = await parts.accepted()
    cancelled = await parts.cancellations().cancel(job.job_id, job.requester)
    assert (cancelled.state, parts.hold(job)) == (State.CANCELLED, "released")
    assert (await parts.told(job))[-1] == "jobs.event.cancelled"
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    assert (await parts.read(job.job_id)).state is State.CANCELLED


async def test_a_cancelled_job_stays_so_while_billing_is_down(parts: Parts):
    job = await parts.accepted()
    parts.billing.before["ReleaseHold"].append(DOWN)
    assert (await parts.cancellations().cancel(job.job_id, job.requester)).state is State.CANCELLED
    assert parts.hold(job) == "open"  # until the sweeper comes by


async def test_a_running_job_is_cancelled_within_a_second(parts: Parts):
    job = await parts.accepted()
    runner, first, _ = await computing(parts, "first", job)

    async def hear(_subject: str, _payload: bytes) -> None:
        runner.cancel(job.job_id)

    heard = await parts.events.subscribe(cancel_subject(str(job.job_id)), hear)
    started = time.monotonic()
    assert (await parts.cancellations().cancel(job.job_id, job.requester)).state is State.RUNNING
    assert await first is Verdict.DONE
    assert time.monotonic() - started < 1
    assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.CANCELLED, "released")
    await heard.unsubscribe()


async def test_a_cancellation_that_nats_lost_is_seen_at_the_next_renewal(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    async def lose(*_: object) -> None:
        raise DOWN

    monkeypatch.setattr(parts.events, "tell", lose)
    job = await parts.accepted()
    _, first, _ = await computing(parts, "first", job)
    assert (await parts.cancellations().cancel(job.job_id, job.requester)).cancel_requested
    parts.clock.ahead = LEASE / 2
    assert await first is Verdict.DONE
    assert (await parts.read(job.job_id)).state is State.CANCELLED


async def test_a_cancellation_before_the_run_begins_is_not_missed(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    job, children = await parts.accepted(), FakeChildren()
    runner = parts.runner(children=children)
    claim = parts.store.claim

    async def claim_and_be_cancelled(*arguments: Any, **options: Any) -> Job | None:
        claimed = await claim(*arguments, **options)
        runner.cancel(job.job_id)
        return claimed

    monkeypatch.setattr(parts.store, "claim", claim_and_be_cancelled)
    assert await runner.run_job(job.job_id) is Verdict.DONE
    assert ((await parts.read(job.job_id)).state, children.runs) == (State.CANCELLED, 0)


async def test_a_cancelled_job_is_not_begun_again_after_a_crash(parts: Parts):
    job = await parts.accepted()
    await parts.store.claim(job.job_id, "killed", lease=LEASE, now=parts.clock())
    await parts.cancellations().cancel(job.job_id, job.requester)
    parts.clock.ahead = OVER
    children = FakeChildren()
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.DONE
    assert ((await parts.read(job.job_id)).state, children.runs) == (State.CANCELLED, 0)


async def test_a_job_that_moves_while_it_is_cancelled_is_cancelled(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    job = await parts.accepted()
    await parts.store.claim(job.job_id, "worker", lease=LEASE, now=parts.clock())
    ask = parts.store.request_cancel

    async def move_first(*arguments: Any) -> Job | None:
        await parts.store.move(job.job_id, "worker", parts.routing.backends[1], parts.clock(), fault="")
        return await ask(*arguments)

    monkeypatch.setattr(parts.store, "request_cancel", move_first)
    assert (await parts.cancellations().cancel(job.job_id, job.requester)).state is State.CANCELLED


async def test_a_job_with_its_result_completes_though_it_is_cancelled(parts: Parts):
    job = await parts.accepted()
    parts.signing.before["SignRecord"].append(RuntimeError("killed before the seal"))
    runner = parts.runner()
    await runner.run_job(job.job_id)
    await parts.cancellations().cancel(job.job_id, job.requester)
    assert await runner.run_job(job.job_id) is Verdict.DONE
    assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.COMPLETED, "settled")


async def test_what_has_ended_cannot_be_cancelled(parts: Parts):
    job = await parts.accepted()
    await parts.runner().run_job(job.job_id)
    with pytest.raises(Conflict) as refusal:
        await parts.cancellations().cancel(job.job_id, job.requester)
    assert refusal.value.reason == "JOB_ENDED"


async def test_another_teams_job_cannot_be_cancelled(parts: Parts):
    job = await parts.accepted()
    with pytest.raises(NotFound):
        await parts.cancellations().cancel(job.job_id, new_team())
    assert await parts.read(job.job_id) == await parts.store.get(job.job_id, job.requester.team_id)
    assert (await parts.read(job.job_id)).state is State.QUEUED
