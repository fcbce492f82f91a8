"""Waiting for a job: woken by events from a real NATS, and by the clock where there is none."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import pytest_asyncio
from qm.execution.v1 import execution_pb2 as pb

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound
from mesh.events import Message
from mesh.streams import JOBS_EVENTS, event_subject
from services.execution import watch
from services.execution.job import Job, JobId, State
from services.execution.market import Market
from services.execution.run import Verdict
from services.execution.service import ExecutionService
from services.execution.watch import Watchers
from tests.mesh.executing import FakeChildren, Parts, new_team


@pytest.fixture
def parts(make: Callable[[], Parts], monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr("services.execution.lease.FIRST_BEAT_SECONDS", 0.01)
    monkeypatch.setattr("services.execution.lease.BEAT_SECONDS", 0.01)
    return make()


@pytest_asyncio.fixture
async def watchers(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watchers]:
    """Watchers that only events wake."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 60)
    parts.outbox.start()
    watchers = Watchers()
    heard = await parts.events.subscribe(JOBS_EVENTS.subjects[0], watchers.hear)
    yield watchers
    await heard.unsubscribe()
    await parts.outbox.close()


async def follow(parts: Parts, watchers: Watchers, job: Job, seen: asyncio.Queue[Job], after: int = 0) -> None:
    async for state in watchers.follow(parts.store, job.job_id, job.requester.team_id, after):
        seen.put_nowait(state)


async def run_slowly(parts: Parts, job: Job, seen: asyncio.Queue[Job]) -> list[Job]:
    """What a watcher saw of a job that runs until it was seen to be half way."""
    go_on, states = asyncio.Event(), [await seen.get()]
    running = asyncio.create_task(parts.runner(children=FakeChildren(go_on)).run_job(job.job_id))
    while not states[-1].state.ended:
        states.append(await seen.get())
        if states[-1].progress > 0:
            go_on.set()
    assert await running is Verdict.DONE
    return states


async def test_events_wake_a_watcher_for_every_change_up_to_the_end(parts: Parts, watchers: Watchers):
    job, seen = await parts.accepted(), asyncio.Queue[Job]()
    watching = asyncio.create_task(follow(parts, watchers, job, seen))
    states = await asyncio.wait_for(run_slowly(parts, job, seen), 10)
    assert [state.state for state in states] == [State.QUEUED, State.RUNNING, State.COMPLETED]
    assert [state.progress for state in states][:2] == [0.0, 0.5]
    versions = [state.version for state in states]
    assert versions == sorted(set(versions))
    await asyncio.wait_for(watching, 5)
    assert watchers._waiting == {}


async def test_many_watchers_are_woken_and_none_for_another_job(parts: Parts, watchers: Watchers):
    job, other = await parts.accepted(), await parts.accepted()
    queues = [asyncio.Queue[Job]() for _ in range(20)]
    all_watching = [asyncio.create_task(follow(parts, watchers, job, queue)) for queue in queues]
    bystander = asyncio.Queue[Job]()
    waiting = asyncio.create_task(follow(parts, watchers, other, bystander))
    await asyncio.gather(*(queue.get() for queue in queues), bystander.get())
    await parts.runner().run_job(job.job_id)
    await asyncio.wait_for(asyncio.gather(*all_watching), 10)
    assert bystander.empty()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert watchers._waiting == {}


async def test_a_change_is_seen_without_events_too(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)
    job, seen = await parts.accepted(), asyncio.Queue[Job]()
    watchers = Watchers()
    looking = asyncio.create_task(watchers.look(parts.store))
    watching = asyncio.create_task(follow(parts, watchers, job, seen))
    states = await asyncio.wait_for(run_slowly(parts, job, seen), 10)
    assert states[-1].state is State.COMPLETED
    await asyncio.wait_for(watching, 5)
    looking.cancel()


@pytest.mark.parametrize("script", [[], [InvalidArgument("no", reason="BAD")], ["half way"], ["cancelled"]])
async def test_what_neighbours_are_told_of_an_end_is_what_is_stored(parts: Parts, script: list[Any]):
    told, go_on = list[object](), asyncio.Event()
    stop = parts.events.bulletin.listen(JOBS_EVENTS.subjects[0], lambda _, about: told.append(about))
    job = await parts.accepted()
    if script == ["half way"]:
        running = asyncio.create_task(parts.runner(children=FakeChildren(go_on)).run_job(job.job_id))
        while (await parts.read(job.job_id)).progress == 0:
            await asyncio.sleep(0.01)
        go_on.set()
        await running
    elif script == ["cancelled"]:
        await parts.cancellations().cancel(job.job_id, job.requester)
    else:
        await parts.runner(children=FakeChildren(*script)).run_job(job.job_id)
    stop()
    stored = await parts.read(job.job_id)
    assert stored.state.ended
    assert told[-1] == stored


async def test_a_cancellation_is_seen_within_a_second(parts: Parts, watchers: Watchers):
    job, seen = await parts.accepted(), asyncio.Queue[Job]()
    watching = asyncio.create_task(follow(parts, watchers, job, seen))
    await seen.get()
    started = time.monotonic()
    await parts.cancellations().cancel(job.job_id, job.requester)
    assert (await asyncio.wait_for(seen.get(), 5)).state is State.CANCELLED
    assert time.monotonic() - started < 1
    await asyncio.wait_for(watching, 5)


async def test_what_is_known_is_not_told_again(parts: Parts, watchers: Watchers):
    job, seen = await parts.accepted(), asyncio.Queue[Job]()
    await parts.runner().run_job(job.job_id)
    ended = await parts.read(job.job_id)
    await asyncio.wait_for(follow(parts, watchers, job, seen, after=ended.version), 5)
    assert seen.empty()
    await asyncio.wait_for(follow(parts, watchers, job, seen, after=ended.version - 1), 5)
    assert seen.get_nowait() == ended


async def test_nonsense_on_the_events_stream_wakes_nobody(parts: Parts, watchers: Watchers):
    job, seen = await parts.accepted(), asyncio.Queue[Job]()
    watching = asyncio.create_task(follow(parts, watchers, job, seen))
    await seen.get()
    subject = event_subject("completed", job.requester.team_id)
    await parts.events.publish(Message(str(job.job_id), subject, b"\xff\xff"))
    await parts.runner().run_job(job.job_id)
    await asyncio.wait_for(watching, 5)
    states = [seen.get_nowait().state for _ in range(seen.qsize())]
    assert states in ([State.COMPLETED], [State.RUNNING, State.COMPLETED])


async def test_the_rpc_ends_with_the_job_and_knows_no_others(parts: Parts, watchers: Watchers):
    market = Market(parts.catalogue, parts.store, cast("Any", parts.routing))
    service = ExecutionService(
        parts.store,
        parts.intake(),
        market,
        watchers,
        parts.cancellations(),
        parts.downloads(),
        quotes=parts.quotes(),
        accounts=parts.provider_accounts,
    )
    job = await parts.accepted()
    await parts.runner().run_job(job.job_id)
    request = pb.WatchJobRequest(requester=job.requester, job_id=str(job.job_id))
    states = [answer.job.state async for answer in service.WatchJob(request, Call("edge"))]
    assert states == [pb.JOB_STATE_COMPLETED]
    request.after_version = 99
    assert [answer async for answer in service.WatchJob(request, Call("edge"))] == []
    request.requester.CopyFrom(new_team())
    with pytest.raises(NotFound):
        await anext(service.WatchJob(request, Call("edge")))


async def test_a_job_is_awaited_until_it_is_another(parts: Parts, watchers: Watchers):
    job = await parts.accepted()
    team_id = job.requester.team_id

    async def another(known: int, seconds: float = 10) -> Job | None:
        return await watchers.another(parts.store, job.job_id, team_id, known, seconds)

    assert await another(job.version, 0.01) == await another(0, 0.01) == await parts.read(job.job_id)
    assert await another(job.version + 1) == await parts.read(job.job_id)
    waiting = [asyncio.create_task(another(known)) for known in (0, job.version)]
    while not watchers._waiting:
        await asyncio.sleep(0)
    await parts.runner().run_job(job.job_id)
    ended = await parts.read(job.job_id)
    for seen in await asyncio.gather(*waiting):
        assert seen is not None
        assert job.version < seen.version <= ended.version  # it may have been told that it runs
    assert await another(ended.version) == await another(0) == ended
    assert await watchers.another(parts.store, job.job_id, new_team().team_id, 0, 10) is None
    assert watchers._waiting == {}


async def test_a_job_accepted_here_is_known_to_its_team_alone_until_something_is_told_of_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    stop = parts.events.bulletin.listen(JOBS_EVENTS.subjects[0], parts.watchers.overhear)
    job = await parts.accepted()
    get, asked = parts.store.get, list[str | None]()

    async def note(job_id: JobId, team_id: str | None = None) -> Job | None:
        asked.append(team_id)
        return await get(job_id, team_id)

    monkeypatch.setattr(parts.store, "get", note)
    team, stranger = job.requester.team_id, new_team().team_id
    ids = (team, stranger)
    seen = [await anext(parts.watchers.follow(parts.store, job.job_id, each, 0), None) for each in ids]
    assert (seen, asked) == ([job, None], [stranger])
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    ended = await anext(parts.watchers.follow(parts.store, job.job_id, team, 0))
    assert (ended.state, asked) == (State.COMPLETED, [stranger, team])
    stop()


async def test_what_is_known_of_accepted_jobs_is_bounded(parts: Parts):
    watchers, job = Watchers(), await parts.accepted()
    for number in range(watch.MOST_EXPECTED + 1):
        watchers.expect(replace(job, job_id=JobId(uuid.UUID(int=number))))
    watchers.expect(replace(job, parameters=b"x" * (watch.SMALL_BYTES + 1)))
    team = job.requester.team_id
    for number, known in ((0, False), (1, True)):
        found = await anext(watchers.follow(parts.store, JobId(uuid.UUID(int=number)), team, 0), None)
        assert (found is not None) == known
    seen = await anext(watchers.follow(parts.store, job.job_id, team, 0))
    assert seen.parameters == job.parameters
