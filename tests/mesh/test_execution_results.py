"""Results by themselves: kept in a real NATS, sent in pieces."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from mesh.errors import Conflict, Internal, NotFound, Unavailable
from mesh.events import Events
from services.execution import task
from services.execution.results.nats_results import NatsResults
from services.execution.results.result_store import ResultKey
from tests.conftest import RunningNats
from tests.mesh.executing import FakeChildren, Parts

SMALL = task.Outcome({"energy": -1.5}, 2, 1.0, "exact", "fake", "1.0", 0.1)
LARGE = task.Outcome({"blob": "x" * 2**21}, 2, 1.0, "exact", "fake", "1.0", 0.1)


def key_of(data: bytes) -> ResultKey:
    return ResultKey(uuid.uuid4(), hashlib.sha256(data).hexdigest())


@pytest_asyncio.fixture(scope="module")
async def events(nats_server: RunningNats) -> AsyncIterator[Events]:
    events = await Events.connect(nats_server.url, nats_server.identity("execution"))
    yield events
    await events.close()


async def read(results: NatsResults, key: ResultKey) -> list[bytes]:
    return [piece async for piece in results.get(key)]


async def test_nats_gives_back_in_pieces_what_was_put(events: Events):
    results, data = NatsResults(events), bytes(range(256)) * 4096
    key = key_of(data)
    await results.put(key, data)
    pieces = await read(results, key)
    assert (b"".join(pieces), len(pieces)) == (data, 8)


async def test_results_of_one_stream_do_not_mix(events: Events):
    results = NatsResults(events)
    both = {key_of(data): data for data in (b"a" * 300_000, b"b" * 300_000)}
    for key, data in both.items():
        await results.put(key, data)
    assert {key: b"".join(await read(results, key)) for key in both} == both


async def test_a_second_put_of_a_result_stores_nothing(events: Events):
    results, data = NatsResults(events), b"once" * 100_000
    key = key_of(data)
    await results.put(key, data)
    before = (await events.jetstream.stream_info("OBJ_results")).state.last_seq
    await results.put(key, data)
    assert (await events.jetstream.stream_info("OBJ_results")).state.last_seq == before


async def test_a_result_survives_the_kill_of_nats(events: Events, nats_server: RunningNats):
    results, data = NatsResults(events), b"kept" * 100_000
    key = key_of(data)
    await results.put(key, data)
    nats_server.kill()
    await nats_server.ready()
    other = await Events.connect(nats_server.url, nats_server.identity("execution"))
    assert b"".join(await read(NatsResults(other), key)) == data
    await other.close()


async def test_what_was_never_put_is_gone(events: Events):
    with pytest.raises(NotFound) as gone:
        await read(NatsResults(events), key_of(b"nothing"))
    assert gone.value.reason == "RESULT_GONE"


async def test_no_other_service_reads_results(nats_server: RunningNats):
    stranger = await Events.connect(nats_server.url, nats_server.identity("edge"), timeout=0.3)
    with pytest.raises(Unavailable):
        await read(NatsResults(stranger), key_of(b"x"))
    await stranger.close()


async def sent(parts: Parts, outcome: task.Outcome) -> tuple[bytes, bytes]:
    """The digest and the bytes that a download of a job with this outcome gives."""
    job = await parts.accepted()
    await parts.runner(children=FakeChildren(outcome)).run_job(job.job_id)
    first, *rest = [part async for part in parts.downloads().send(job.job_id, job.requester.team_id)]
    data = b"".join(part.data for part in rest)
    assert (first.info.size_bytes, first.info.media_type) == (len(data), "application/json")
    return first.info.sha256, data


@pytest.mark.parametrize("outcome", [SMALL, LARGE])
async def test_a_result_is_sent_whether_it_is_in_the_record_or_apart(parts: Parts, outcome: task.Outcome):
    digest, data = await sent(parts, outcome)
    assert data == msgspec.json.encode(outcome.result)
    assert digest == hashlib.sha256(data).digest()


async def test_a_result_that_was_altered_in_its_store_ends_in_an_error(parts: Parts):
    job = await parts.accepted()
    await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id)
    parts.results.kept = {key: data.replace(b"x", b"y", 1) for key, data in parts.results.kept.items()}
    with pytest.raises(Internal):
        [part async for part in parts.downloads().send(job.job_id, job.requester.team_id)]
    parts.results.kept = {}
    with pytest.raises(NotFound, match="no longer kept"):
        [part async for part in parts.downloads().send(job.job_id, job.requester.team_id)]


async def test_only_a_completed_job_of_the_team_has_a_result(parts: Parts):
    job = await parts.accepted()
    with pytest.raises(Conflict, match="queued"):
        [part async for part in parts.downloads().send(job.job_id, job.requester.team_id)]
    await parts.runner(children=FakeChildren(SMALL)).run_job(job.job_id)
    with pytest.raises(NotFound, match="no such job"):
        [part async for part in parts.downloads().send(job.job_id, str(uuid.uuid4()))]
