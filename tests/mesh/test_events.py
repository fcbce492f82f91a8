"""Messages arrive once, survive a killed reader and a killed NATS, and end among the dead letters when nobody can."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator

import nats.js.api
import pytest
import pytest_asyncio

from mesh.consumer import Consumer, Delivery
from mesh.errors import Unavailable
from mesh.events import Events, Message
from mesh.retry import retry_while_unavailable
from mesh.streams import DEAD_LETTERS, JOBS_EVENTS, JOBS_WORK, KEYS, event_subject, key_revoked_subject, work_subject
from tests.conftest import RunningNats

_numbers = itertools.count()


def _work(pool: str, payload: bytes = b"job", **headers: str) -> Message:
    return Message(f"message-{next(_numbers)}", work_subject(pool, "normal"), payload, headers)


def _reader(events: Events, pool: str, **options: float) -> Consumer:
    return Consumer(events, JOBS_WORK, f"workers-{pool}", subject=f"jobs.work.{pool}.>", **options)  # type: ignore[arg-type]


@pytest.fixture
def pool() -> str:
    """A pool of its own for each test: the streams are shared, with the workers of other modules too.

    A work queue has no two consumers for one subject, so a name that a worker had before would be refused.
    """
    return f"events{next(_numbers)}"


@pytest_asyncio.fixture
async def execution(nats_server: RunningNats) -> AsyncIterator[Events]:
    events = await Events.connect(nats_server.url, nats_server.identity("execution"))
    yield events
    await events.close()


async def test_a_message_arrives_with_its_payload_and_headers(execution: Events, pool: str) -> None:
    await execution.publish(_work(pool, b"\x00\xff", traceparent="00-a-b-01"))
    async with _reader(execution, pool) as reader:
        delivery = await anext(reader)
        assert (delivery.payload, delivery.subject) == (b"\x00\xff", f"jobs.work.{pool}.normal")
        assert delivery.headers["traceparent"] == "00-a-b-01"
        assert delivery.attempt == 1
        await delivery.ack()


async def test_the_same_id_is_stored_once(execution: Events, pool: str) -> None:
    twice = _work(pool, b"once")
    await execution.publish_all([twice, twice])
    await execution.publish(twice)
    await execution.publish(_work(pool, b"last"))
    async with _reader(execution, pool) as reader:
        seen = []
        for _ in range(2):
            delivery = await anext(reader)
            seen.append(delivery.payload)
            await delivery.ack()
    assert seen == [b"once", b"last"]


async def test_many_are_published_at_once_and_read_in_batches(execution: Events, pool: str) -> None:
    messages = [_work(pool, str(number).encode()) for number in range(300)]
    assert await execution.publish_all(messages) == [None] * 300
    async with _reader(execution, pool, batch=64) as reader:
        seen: set[int] = set()
        while len(seen) < 300:
            delivery = await anext(reader)
            seen.add(int(delivery.payload))
            await delivery.ack()
    assert seen == set(range(300))


async def test_nak_brings_a_message_back(execution: Events, pool: str) -> None:
    await execution.publish(_work(pool))
    async with _reader(execution, pool) as reader:
        await (await anext(reader)).nak()
        again = await anext(reader)
        assert again.attempt == 2
        await again.ack()


async def test_work_longer_than_ack_wait_is_not_delivered_twice(execution: Events, pool: str) -> None:
    await execution.publish(_work(pool))
    async with _reader(execution, pool, ack_wait=0.6) as reader:
        delivery = await anext(reader)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reader), 1.5)
        await delivery.ack()


async def test_a_reader_that_dies_loses_its_message_within_ack_wait(execution: Events, pool: str) -> None:
    await execution.publish(_work(pool))
    async with _reader(execution, pool, ack_wait=0.6) as dying:
        await anext(dying)
    async with _reader(execution, pool, ack_wait=0.6) as reader:
        start = time.monotonic()
        delivery = await anext(reader)
        assert time.monotonic() - start < 1.0
        assert delivery.attempt == 2
        await delivery.ack()


async def test_a_reader_ends_though_its_cancellation_is_lost_while_the_consumer_is_made(
    execution: Events, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def answer_when_cancelled(*_: object) -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    monkeypatch.setattr(execution.jetstream, "add_consumer", answer_when_cancelled)
    async with _reader(execution, pool) as reader:
        reading = asyncio.ensure_future(anext(reader))
        await asked.wait()
        reading.cancel()
        done, _ = await asyncio.wait([reading], timeout=5)
    assert done
    assert reading.cancelled()


async def test_leaving_gives_back_what_was_not_handed_out(execution: Events, pool: str) -> None:
    await execution.publish_all([_work(pool, b"a"), _work(pool, b"b"), _work(pool, b"c")])
    async with _reader(execution, pool, batch=3, ack_wait=30) as first:
        await (await anext(first)).ack()
        while first._arrived.qsize() < 2:
            await asyncio.sleep(0)
    async with _reader(execution, pool, ack_wait=30) as second:
        rest = {(await anext(second)).payload for _ in range(2)}
    assert rest == {b"b", b"c"}


async def test_a_message_that_nobody_can_handle_is_buried_with_its_reason(
    execution: Events, nats_server: RunningNats, pool: str
) -> None:
    buried: list[tuple[bytes, str]] = []

    async def on_dead(delivery: Delivery, reason: str) -> None:
        buried.append((delivery.payload, reason))

    await execution.publish_all([_work(pool, b"poison", traceparent="00-t"), _work(pool, b"good")])
    reader = Consumer(
        execution,
        JOBS_WORK,
        f"workers-{pool}",
        subject=f"jobs.work.{pool}.>",
        ack_wait=30,
        max_deliveries=2,
        on_dead=on_dead,
    )
    async with reader:
        async for delivery in reader:
            if delivery.payload == b"good":
                await delivery.ack()
            else:
                await delivery.nak()
            if buried and delivery.payload == b"good":
                break
            if delivery.payload == b"good":
                await execution.publish(_work(pool, b"good"))
    assert buried == [(b"poison", "delivered 2 times and never acknowledged")]
    operator = await Events.connect(nats_server.url, nats_server.identity("operator"))
    dead = await operator.jetstream.get_last_msg(DEAD_LETTERS.name, f"dead.JOBS_WORK.jobs.work.{pool}.normal")
    assert dead.data == b"poison"
    assert dead.headers is not None
    assert dead.headers["Dead-Reason"] == buried[0][1]
    assert dead.headers["traceparent"] == "00-t"
    left = await operator.jetstream.stream_info(JOBS_WORK.name, subjects_filter=f"jobs.work.{pool}.>")
    assert not left.state.subjects
    await operator.close()


async def test_a_message_can_be_buried_by_hand(execution: Events, pool: str) -> None:
    await execution.publish_all([_work(pool, b"bad"), _work(pool, b"good")])
    async with _reader(execution, pool) as reader:
        await (await anext(reader)).bury("not a job")
        assert (await anext(reader)).payload == b"good"


async def test_a_subscriber_hears_what_is_stored_and_what_is_only_told(nats_server: RunningNats) -> None:
    accounts = await Events.connect(nats_server.url, nats_server.identity("accounts"))
    edge = await Events.connect(nats_server.url, nats_server.identity("edge"))
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def hear(subject: str, payload: bytes) -> None:
        heard.put_nowait((subject, payload))
        if payload == b"stored":
            raise RuntimeError

    subscription = await edge.subscribe("accounts.key.revoked.*", hear)
    await accounts.publish(Message("revoked-1", key_revoked_subject("k1"), b"stored"))
    await accounts.tell(key_revoked_subject("k2"), b"told")
    assert await heard.get() == ("accounts.key.revoked.k1", b"stored")
    assert await heard.get() == ("accounts.key.revoked.k2", b"told")
    await subscription.unsubscribe()
    await accounts.close()
    await edge.close()


async def test_a_service_may_only_publish_what_the_table_lists(nats_server: RunningNats, execution: Events) -> None:
    edge = await Events.connect(nats_server.url, nats_server.identity("edge"), timeout=0.5)
    with pytest.raises(Unavailable):
        await edge.publish(Message("forged", work_subject("any", "normal"), b"forged"))
    heard: list[str] = []

    async def hear(subject: str, _payload: bytes) -> None:
        heard.append(subject)

    await edge.subscribe(event_subject("completed", "*"), hear)
    await execution.publish(Message("event-1", event_subject("completed", "team"), b""))
    await edge.flush()
    assert heard == []
    assert "ermission" in edge.last_error
    await edge.close()


async def test_a_certificate_of_no_listed_service_is_refused(nats_server: RunningNats) -> None:
    with pytest.raises(Unavailable) as caught:
        await Events.connect(nats_server.url, nats_server.identity("stranger"), patience=0.5)
    assert caught.value.reason == "QUEUE_UNAVAILABLE"


async def test_a_server_that_is_not_there_is_unavailable_in_bounded_time(nats_server: RunningNats) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await Events.connect("tls://127.0.0.1:1", nats_server.identity("edge"), patience=0.0)
    assert time.monotonic() - start < 2


async def test_a_stream_takes_on_changed_settings(nats_server: RunningNats) -> None:
    operator = await Events.connect(nats_server.url, nats_server.identity("operator"))
    await operator.ensure_streams([dataclasses.replace(KEYS, max_age=7200.0)])
    info = await operator.jetstream.stream_info(KEYS.name)
    assert info.config.max_age == 7200.0
    assert info.config.retention == nats.js.api.RetentionPolicy.LIMITS
    await operator.ensure_streams([KEYS])
    await operator.close()


async def test_everything_recovers_after_nats_is_killed(execution: Events, nats_server: RunningNats, pool: str) -> None:
    back = asyncio.Event()
    execution.on_reconnect(back.set)
    await execution.publish(_work(pool, b"before"))
    async with _reader(execution, pool) as reader:
        await (await anext(reader)).ack()
        waiting = asyncio.ensure_future(anext(reader))
        nats_server.stop()
        start = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await execution.publish(_work(pool, b"lost"))
        assert time.monotonic() - start < 3
        assert caught.value.reason == "QUEUE_UNAVAILABLE"
        nats_server.start()
        await asyncio.wait_for(back.wait(), 30)
        nats_server.kill()

        async def publish() -> None:
            await execution.publish(_work(pool, b"after"))

        await retry_while_unavailable(publish, 30)
        delivery = await asyncio.wait_for(waiting, 30)
        assert delivery.payload == b"after"
        await delivery.ack()


async def test_an_event_reader_may_start_from_now(execution: Events, nats_server: RunningNats) -> None:
    await execution.publish(Message("old", event_subject("completed", "early"), b"old"))
    routing = await Events.connect(nats_server.url, nats_server.identity("routing"))
    async with Consumer(routing, JOBS_EVENTS, "learning", subject="jobs.event.completed.>", from_now=True) as reader:
        waiting = asyncio.ensure_future(anext(reader))
        operator = await Events.connect(nats_server.url, nats_server.identity("operator"))
        while not await operator.jetstream.consumers_info(JOBS_EVENTS.name):
            await asyncio.sleep(0)
        await execution.publish(Message("new", event_subject("completed", "late"), b"new"))
        assert (await waiting).payload == b"new"
        await operator.close()
    await routing.close()
