"""The outbox: messages are rows of the same commit as what they tell of, and rows go once JetStream has them.

    async with database.transaction() as connection:
        ...                                          # the change
        await insert(connection, messages)           # and what follows from it
    outbox.publish(messages)                         # at once, in the background, in batches

A crash or an outage of NATS between the commit and the publish leaves the rows; the relay publishes them again, with
the same message id, so a stream that did get the first drops the second. Nothing is published that was not committed,
and nothing committed is lost. Where a stream's payloads may be joined nobody waits for one: they are gathered for a
moment and go as one message, off the path of any job.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence

import structlog

from mesh.bulletin import NOTHING
from mesh.database import Connection, Database
from mesh.errors import MeshError
from mesh.events import Events, Message
from mesh.streams import is_joined

CREATE_TABLE = """\
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    subject text NOT NULL,
    payload bytea NOT NULL,
    headers jsonb NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_create_time ON outbox (create_time);
"""
"""For the first migration of a service with an outbox: `op.execute(outbox.CREATE_TABLE)`."""

_ANY_LEFT = "SELECT EXISTS (SELECT FROM outbox WHERE create_time < clock_timestamp() - make_interval(secs => $1))"
# Nobody waits for the disk: what a crash brings back is published again, and dropped by the stream.
_DELETE_SETTLED = """
DELETE FROM outbox USING set_config('synchronous_commit', 'off', true) WHERE id = ANY($1)
"""
_BATCH = 500
_RELAY_AGE = 1.0  # seconds that a row may wait for its own publish before the relay takes it
_GATHER_SECONDS = 0.002  # for what follows at once; whoever waits in this process was told already
_TIDY_PAUSE = 0.3  # seconds between two rounds of what is not urgent; well below the relay's patience
_RELAY_PAUSE = 1.0  # seconds between two looks of the relay
_MOST_WAITING = 20_000  # messages held in memory; more than that stay rows alone, for the relay
_MOST_JOINED = 256 * 1024  # bytes of messages that go as one; NATS takes 1 MiB

log = structlog.get_logger()


def insert_sql(first: int = 1) -> str:
    """An INSERT of many rows, to stand alone or in a WITH; its four parameters `columns` start at `$first`."""
    rows = f"unnest(${first}::uuid[], ${first + 1}::text[], ${first + 2}::bytea[], ${first + 3}::jsonb[])"
    return f"INSERT INTO outbox (id, subject, payload, headers) SELECT * FROM {rows}"  # noqa: S608 - numbers alone


def columns(messages: Sequence[Message]) -> tuple[list[uuid.UUID], list[str], list[bytes], list[dict[str, str]]]:
    """The parameters of `insert_sql`. A message's id must be a UUID."""
    return (
        [uuid.UUID(message.id) for message in messages],
        [message.subject for message in messages],
        [message.payload for message in messages],
        [dict(message.headers) for message in messages],
    )


async def insert(connection: Connection, messages: Sequence[Message]) -> None:
    """Put the messages into the caller's transaction."""
    if messages:
        await connection.execute(insert_sql(), *columns(messages))


def packets(messages: Sequence[Message]) -> list[tuple[Message, list[uuid.UUID]]]:
    """What is sent, with the ids of the rows in it: joined where the stream allows it, else each message by itself.

    A joined message is named after all that is in it: the same rows again are the same message, others are not.
    """
    groups: list[list[Message]] = []
    open_groups: dict[str, list[Message]] = {}
    room: dict[str, int] = {}
    for message in messages:
        subject, size = message.subject, len(message.payload)
        if size <= room.get(subject, -1):
            open_groups[subject].append(message)
            room[subject] -= size
            continue
        groups.append([message])
        if is_joined(subject):
            open_groups[subject], room[subject] = groups[-1], _MOST_JOINED - size
    return [(_joined(group), [uuid.UUID(message.id) for message in group]) for group in groups]


def _joined(group: Sequence[Message]) -> Message:
    first, *others = group
    if not others:
        return first
    name = uuid.uuid5(uuid.UUID(first.id), " ".join(message.id for message in others))
    return Message(str(name), first.subject, b"".join(message.payload for message in group))


class Outbox:
    """Publishes what a service has committed."""

    def __init__(self, database: Database, events: Events) -> None:
        """Serve the outbox of the database's own schema; `start` begins the work."""
        self._database = database
        self._events = events
        self._waiting: list[Message] = []
        self._gathered: list[Message] = []
        self._arrived = asyncio.Event()
        self._look = asyncio.Event()
        self._closing = False
        self._settled: list[uuid.UUID] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin with what an earlier process left, and go on until `close`."""
        self._events.on_reconnect(self._look.set)
        self._tasks = [asyncio.create_task(work) for work in (self._run(), self._relay(), self._tidy())]

    def publish(self, messages: Sequence[Message], about: Mapping[str, object] = NOTHING) -> None:
        """Tell this process of committed messages, and publish in the background those that nobody takes here.

        `about` is what they tell of, by their ids, for who listens here. What cannot be published now is left to the
        relay.
        """
        taken = self._events.bulletin.tell(messages, about)
        self._settled += map(uuid.UUID, taken)
        if len(self._waiting) + len(self._gathered) < _MOST_WAITING:
            for message in messages:
                if message.id not in taken:
                    (self._gathered if is_joined(message.subject) else self._waiting).append(message)
            if self._waiting:
                self._arrived.set()

    async def close(self) -> None:
        """Publish what waits, then stop; while NATS is away that ends at once."""
        if not self._tasks:
            return
        self._closing = True
        self._send_gathered()
        self._arrived.set()
        publisher, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(publisher, *others, return_exceptions=True)
        await self._delete_settled()

    async def _run(self) -> None:
        # Flush while busy: what arrives during one flush makes up the next.
        while not (self._closing and not self._waiting):
            await self._arrived.wait()
            if not self._closing:
                await asyncio.sleep(_GATHER_SECONDS)
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._waiting and not self._closing:
                self._arrived.clear()
            try:
                await self._flush(batch)
            except Exception:  # noqa: BLE001 - the rows stay, and the relay takes them
                await log.aexception("outbox publish failed")

    async def _flush(self, batch: Sequence[Message]) -> None:
        if batch:
            self._settled += await self._published(batch)

    async def _tidy(self) -> None:
        """Publish what was gathered and delete what is published or taken, many rows at a time."""
        while True:
            await asyncio.sleep(_TIDY_PAUSE)
            self._send_gathered()
            await self._delete_settled()

    def _send_gathered(self) -> None:
        self._waiting += self._gathered
        self._gathered = []
        if self._waiting:
            self._arrived.set()

    async def _delete_settled(self) -> None:
        settled, self._settled = self._settled, []
        if settled:
            # Where this fails the relay publishes the rows again, and the stream drops what it has.
            with contextlib.suppress(MeshError):
                await self._database.execute(_DELETE_SETTLED, settled)

    async def _published(self, batch: Sequence[Message]) -> list[uuid.UUID]:
        sent = packets(batch)
        outcomes = await self._events.publish_all([message for message, _ in sent])
        failed = [error for error in outcomes if error is not None]
        if failed:
            await log.awarning("outbox not published", count=len(failed), error=str(failed[0]))
        return [row for (_, rows), error in zip(sent, outcomes, strict=True) if error is None for row in rows]

    async def _relay(self) -> None:
        while True:
            try:
                # A full batch that got through means that more may wait.
                while await self._relay_once() == _BATCH:
                    pass
            except MeshError as error:
                await log.awarning("outbox relay waits", error=error.message)
            except Exception:  # noqa: BLE001 - the relay outlives whatever one look meets
                await log.aexception("outbox relay failed")
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RELAY_PAUSE):
                    await self._look.wait()

    async def _relay_once(self) -> int:
        """Publish and delete one batch of rows that were left behind; answers how many."""
        if not self._events.is_ready or not await self._database.fetchval(_ANY_LEFT, _RELAY_AGE):
            return 0
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                "SELECT id, subject, payload, headers FROM outbox "
                "WHERE create_time < clock_timestamp() - make_interval(secs => $1) "
                "ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED",
                _RELAY_AGE,
                _BATCH,
            )
            messages = [Message(str(row["id"]), row["subject"], row["payload"], row["headers"]) for row in rows]
            stored = await self._published(messages) if messages else []
            if stored:
                await connection.execute("DELETE FROM outbox WHERE id = ANY($1)", stored)
        return len(stored)
