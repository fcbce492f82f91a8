"""Reading a stream: pull, work, acknowledge; what nobody can handle goes to the dead letters.

    async with Consumer(events, JOBS_WORK, "workers", subject="jobs.work.>") as consumer:
        async for delivery in consumer:
            ...
            await delivery.ack()

A delivery is kept alive by a heartbeat at a third of `ack_wait`, so the work may take as long as it needs, and a killed
process loses it within `ack_wait`. There is no server-side limit on deliveries: JetStream would only send an advisory,
which is lost when nobody listens, and leave the message in the stream. The reader counts instead: a message that comes
once more than `max_deliveries` is given to `on_dead`, copied to DEAD_LETTERS with the reason, and taken off its stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from mesh.errors import Unavailable
from mesh.events import Events, Message, queue_errors_as_unavailable
from mesh.streams import Stream, dead_subject, inbox_prefix

_EXPIRES = 30.0  # seconds that one pull request waits at the server
_SILENCE = 5.0  # seconds between the server's heartbeats on a waiting pull request
_RETRY = 0.5  # seconds before a failed request is repeated
_NO_MESSAGES = ("404", "408")  # a pull request ended with nothing left to give
_HEARTBEAT = "100"

log = structlog.get_logger()


class Delivery:
    """One delivery of one message. Exactly one of ack, nak and bury ends it."""

    def __init__(self, consumer: Consumer, message: Msg) -> None:
        """Wrap a message of nats-py."""
        self._consumer = consumer
        self._message = message
        metadata = message.metadata
        self.subject = message.subject
        self.payload: bytes = message.data
        self.headers: Mapping[str, str] = message.headers or {}
        self.attempt: int = metadata.num_delivered or 1
        """1 for the first delivery."""
        self.sequence: int = metadata.sequence.stream
        """The position in the stream."""
        self.create_time: dt.datetime = metadata.timestamp
        """When the stream stored it."""
        self.pending: int = metadata.num_pending or 0
        """How many messages still waited behind it when it was sent."""

    async def ack(self) -> None:
        """Done: a work queue drops the message, any other stream moves on."""
        await self._answer(b"+ACK")

    async def nak(self, delay: float = 0.0) -> None:
        """Not done: deliver it again, to anyone, after `delay` seconds."""
        options = json.dumps({"delay": round(delay * 1e9)}).encode()
        await self._answer(b"-NAK " + options if delay else b"-NAK")

    async def bury(self, reason: str) -> None:
        """Never to be done: copy it to DEAD_LETTERS with `reason` and take it off. Raises Unavailable."""
        stream = self._consumer.stream.name
        headers = {
            **{key: value for key, value in self.headers.items() if not key.startswith("Nats-")},
            "Dead-Reason": reason.replace("\n", " ")[:1000],
            "Dead-Attempts": str(self.attempt),
        }
        dead = Message(f"dead-{stream}-{self.sequence}", dead_subject(stream, self.subject), self.payload, headers)
        await self._consumer.events.publish(dead)
        await self._answer(b"+TERM")

    async def keep_alive(self) -> None:
        """Tell the server that the work goes on; the consumer does this by itself."""
        await self._send(b"+WPI")

    async def _answer(self, verb: bytes) -> None:
        self._consumer.settled(self)
        await self._send(verb)

    async def _send(self, verb: bytes) -> None:
        # While NATS is away nats-py keeps the answer and sends it after reconnecting. If that fails too, the message
        # comes again: every reader has to bear that anyway.
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._consumer.events.client.publish(self._message.reply, verb)


OnDead = Callable[[Delivery, str], Awaitable[None]]


class Consumer:
    """A durable place in a stream, shared by all processes that use the same name, as an async iterator."""

    def __init__(  # noqa: PLR0913 - each is a setting of its own with a default that fits
        self,
        events: Events,
        stream: Stream,
        name: str,
        *,
        subject: str = "",
        batch: int = 1,
        ack_wait: float = 10.0,
        max_deliveries: int = 5,
        from_now: bool = False,
        on_dead: OnDead | None = None,
    ) -> None:
        """Prepare to read.

        `subject` filters; `batch` is how many messages are asked for at once: 1 where each takes long, so that none
        waits behind another. `from_now` skips what the stream holds when the consumer is first made. `on_dead` hears
        of a message before it is buried; where it raises, the message comes again later.
        """
        self.events = events
        self.stream = stream
        self.name = name
        self._batch = batch
        self._ack_wait = ack_wait
        self._max_deliveries = max_deliveries
        self._on_dead = on_dead
        self._configuration = ConsumerConfig(
            durable_name=name,
            filter_subject=subject or None,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait,
            max_deliver=-1,
            max_ack_pending=10_000,
            deliver_policy=DeliverPolicy.NEW if from_now else DeliverPolicy.ALL,
        )
        self._inbox = f"{inbox_prefix(events.name)}.pull.{name}.{secrets.token_hex(8)}"
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._open: set[Delivery] = set()
        self._asked = 0
        self._exists = False
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] = lambda: None
        self._heart: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start to listen. The consumer itself is made when it is first read."""
        self._subscription = await self.events.client.subscribe(self._inbox, cb=self._receive)
        self._forget = self.events.on_reconnect(self._ask_again)
        self._heart = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to listen; what arrived and was not handed out goes back at once, what is being worked on does not."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()
        self._forget()
        if self._heart is not None:
            self._heart.cancel()
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and not _status(message):
                await Delivery(self, message).nak()

    def __aiter__(self) -> Self:
        """Iterate over deliveries, without end."""
        return self

    async def __anext__(self) -> Delivery:
        """Wait for the next delivery, through any outage of NATS."""
        while True:
            delivery = await self._next()
            if delivery.attempt <= self._max_deliveries:
                return delivery
            await self._give_up(delivery)

    def settled(self, delivery: Delivery) -> None:
        """End the heartbeats of a delivery."""
        self._open.discard(delivery)

    async def _next(self) -> Delivery:
        while True:
            if self._arrived.empty() and self._asked <= 0:
                await self._ask()
            try:
                async with asyncio.timeout(2 * _SILENCE):
                    message = await self._arrived.get()
            except TimeoutError:
                self._asked = 0  # the server fell silent: the request is lost
                continue
            if message is None:
                self._asked = 0
            elif status := _status(message):
                await self._heed(status, message)
            else:
                self._asked -= 1
                delivery = Delivery(self, message)
                self._open.add(delivery)
                return delivery

    async def _ask(self) -> None:
        request = {"batch": self._batch, "expires": round(_EXPIRES * 1e9), "idle_heartbeat": round(_SILENCE * 1e9)}
        try:
            if not self._exists:
                with queue_errors_as_unavailable():
                    await self.events.jetstream.add_consumer(self.stream.name, self._configuration)
                self._exists = True
            await self.events.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self.stream.name}.{self.name}", json.dumps(request).encode(), self._inbox
            )
            self._asked = self._batch
        except (Unavailable, nats.errors.Error, OSError) as error:
            await log.awarning("cannot read the stream", stream=self.stream.name, error=str(error))
            await asyncio.sleep(_RETRY)

    async def _heed(self, status: str, message: Msg) -> None:
        if status == _HEARTBEAT:
            return
        self._asked = 0
        if status not in _NO_MESSAGES:
            # 409: the consumer was deleted or its leader moved; 503: the stream is not there (yet).
            description = (message.headers or {}).get("Description", "")
            await log.awarning("pull refused", stream=self.stream.name, status=status, description=description)
            self._exists = False
            await asyncio.sleep(_RETRY)

    async def _receive(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    def _ask_again(self) -> None:
        self._exists = False  # the store may have been lost with the server
        self._arrived.put_nowait(None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            for delivery in tuple(self._open):
                await delivery.keep_alive()

    async def _give_up(self, delivery: Delivery) -> None:
        reason = f"delivered {delivery.attempt - 1} times and never acknowledged"
        try:
            if self._on_dead is not None:
                await self._on_dead(delivery, reason)
            await delivery.bury(reason)
        except Exception:  # noqa: BLE001 - whatever it was, the message stays and comes again
            await log.aexception("cannot bury a message", stream=self.stream.name, sequence=delivery.sequence)
            await delivery.nak(self._ack_wait)


def _status(message: Msg) -> str:
    """The status of an answer that is no message of the stream, else empty."""
    return (message.headers or {}).get("Status", "") if not message.data else ""
