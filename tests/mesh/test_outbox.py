"""What was committed is published once, whatever dies in between."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from mesh.consumer import Consumer
from mesh.database import Database
from mesh.errors import Unavailable
from mesh.events import Events, Message
from mesh.outbox import CREATE_TABLE, Outbox, columns, insert, insert_sql
from mesh.retry import retry_while_unavailable
from mesh.streams import JOBS_WORK, audit_subject, work_subject
from tests.conftest import RunningNats, RunningPostgres

_numbers = itertools.count()


class Parts:
    """An outbox with a schema and a pool of its own, and a way to see both ends."""

    def __init__(self, database: Database, events: Events, nats: RunningNats) -> None:
        self.nats = nats
        self.database = database
        self.events = events
        self.outbox = Outbox(database, events)
        self.pool = f"outbox{next(_numbers)}"

    def messages(self, count: int) -> list[Message]:
        subject = work_subject(self.pool, "normal")
        return [Message(str(uuid.uuid4()), subject, str(number).encode(), {"n": "1"}) for number in range(count)]

    async def commit(self, messages: list[Message], age: str = "0") -> None:
        async with self.database.transaction() as connection:
            await insert(connection, messages)
            await connection.execute("UPDATE outbox SET create_time = create_time - $1::text::interval", age)

    async def received(self, count: int) -> list[int]:
        """The payloads of the next messages, in order."""
        name = f"reader-{self.pool}"
        seen: list[int] = []
        async with Consumer(self.events, JOBS_WORK, name, subject=f"jobs.work.{self.pool}.>", batch=64) as reader:
            while len(seen) < count:
                delivery = await anext(reader)
                seen.append(int(delivery.payload))
                await delivery.ack()
        return seen

    async def emptied(self) -> None:
        """Return when no row is left."""

        async def check() -> None:
            if await self.database.fetchval("SELECT count(*) FROM outbox"):
                raise Unavailable("rows are left", reason="ROWS_LEFT")

        await retry_while_unavailable(check, 60)


@pytest_asyncio.fixture
async def parts(postgres: RunningPostgres, nats_server: RunningNats) -> AsyncIterator[Parts]:
    config = await postgres.schema()
    role = config.url.split("//")[1].split("@")[0]
    database = await Database.connect(config, schema=role)
    await database.execute(CREATE_TABLE)
    events = await Events.connect(nats_server.url, nats_server.identity("execution"))
    parts = Parts(database, events, nats_server)
    yield parts
    await parts.outbox.close()
    await events.close()
    await database.close()


async def test_committed_messages_are_published_and_their_rows_go(parts: Parts) -> None:
    parts.outbox.start()
    messages = parts.messages(700)
    await parts.commit(messages)
    parts.outbox.publish(messages)
    assert await parts.received(700) == list(range(700))
    await parts.emptied()


async def test_a_rolled_back_message_is_never_seen(parts: Parts) -> None:
    async def insert_and_fail() -> None:
        async with parts.database.transaction() as connection:
            await insert(connection, parts.messages(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await insert_and_fail()
    assert await parts.database.fetchval("SELECT count(*) FROM outbox") == 0


async def test_rows_can_be_written_in_one_statement_with_the_change(parts: Parts) -> None:
    await parts.database.execute("CREATE TABLE job (id int)")
    messages = parts.messages(2)
    sql = f"WITH told AS ({insert_sql(2)}) INSERT INTO job SELECT * FROM unnest($1::int[])"  # noqa: S608
    await parts.database.execute(sql, [1, 2], *columns(messages))
    rows = await parts.database.fetch("SELECT id::text, headers FROM outbox")
    assert {row["id"] for row in rows} == {message.id for message in messages}
    assert rows[0]["headers"] == {"n": "1"}


async def test_the_relay_publishes_what_a_crash_left(parts: Parts) -> None:
    await parts.commit(parts.messages(1200), age="5 seconds")
    parts.outbox.start()
    assert sorted(await parts.received(1200)) == list(range(1200))
    await parts.emptied()


async def test_a_message_that_was_published_but_not_deleted_arrives_once(parts: Parts) -> None:
    messages = parts.messages(3)
    await parts.commit(messages, age="5 seconds")
    assert await parts.events.publish_all(messages) == [None] * 3
    parts.outbox.start()
    await parts.emptied()
    await parts.events.publish(parts.messages(5)[4])
    assert await parts.received(4) == [0, 1, 2, 4]


async def test_two_relays_share_the_rows_and_lose_none(parts: Parts) -> None:
    await parts.commit(parts.messages(900), age="5 seconds")
    other = Outbox(parts.database, parts.events)
    parts.outbox.start()
    other.start()
    assert sorted(await parts.received(900)) == list(range(900))
    await parts.emptied()
    await other.close()


async def test_an_outage_of_nats_delays_messages_and_loses_none(parts: Parts, nats_server: RunningNats) -> None:
    parts.outbox.start()
    await asyncio.to_thread(nats_server.stop)
    messages = parts.messages(50)
    await parts.commit(messages)
    parts.outbox.publish(messages)
    await asyncio.to_thread(nats_server.start)
    assert sorted(await parts.received(50)) == list(range(50))
    await parts.emptied()


async def test_rows_survive_a_killed_postgres(parts: Parts, postgres: RunningPostgres) -> None:
    messages = parts.messages(10)
    await parts.commit(messages)
    parts.outbox.start()
    postgres.kill()
    parts.outbox.publish(messages)
    assert sorted(await parts.received(10)) == list(range(10))
    await postgres.ready()
    await parts.emptied()


async def test_closing_publishes_what_waits(parts: Parts) -> None:
    messages = parts.messages(5)
    await parts.commit(messages)
    parts.outbox.start()
    parts.outbox.publish(messages)
    await parts.outbox.close()
    assert await parts.received(5) == list(range(5))
    assert await parts.database.fetchval("SELECT count(*) FROM outbox") == 0


async def test_closing_publishes_what_was_gathered_as_one_message(parts: Parts) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(_subject: str, payload: bytes) -> None:
        heard.put_nowait(payload)

    subject = audit_subject(str(uuid.uuid4()))
    messages = [Message(str(uuid.uuid4()), subject, payload) for payload in (b"a", b"b", b"c")]
    operator = await Events.connect(parts.nats.url, parts.nats.identity("operator"))
    await operator.subscribe(subject, hear)
    await parts.commit(messages)
    parts.outbox.start()
    parts.outbox.publish(messages)
    await parts.outbox.close()
    async with asyncio.timeout(10):
        assert await heard.get() == b"abc"
    assert await parts.database.fetchval("SELECT count(*) FROM outbox") == 0
    await operator.close()
