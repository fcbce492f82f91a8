"""The mesh's connection to NATS: publishing with an acknowledgement, live subscriptions, and streams kept as declared.

Everything is bounded in time. While NATS is away a publish fails at once with `Unavailable` (QUEUE_UNAVAILABLE) and
the client reconnects by itself, with the certificate files as they are then. Whoever must not miss a message writes it
to the outbox (mesh/outbox.py) or reads a stream (mesh/consumer.py); a live subscription is a wake-up that may be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from mesh.bulletin import Bulletin
from mesh.errors import MeshError, Unavailable
from mesh.identity import Identity
from mesh.retry import retry_while_unavailable
from mesh.streams import RIGHTS, Rights, Stream, inbox_prefix

MESSAGE_ID = "Nats-Msg-Id"
_STATUS = "Status"
_RECONNECT_PAUSE = 0.1  # seconds between two attempts
_CONNECT_SECONDS = 2  # for each step of one attempt
_ATTEMPT_SECONDS = 5.0
_OTHER_CONFIGURATION = 10058  # JetStream: the stream exists and is configured differently
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Handler = Callable[[str, bytes], Awaitable[None]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish to a stream. A second message of the same id within the stream's window is dropped."""

    id: str
    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Events:
    """One connection to NATS, of one service."""

    def __init__(self, client: Client, callbacks: _Callbacks, name: str, *, timeout: float, bulletin: Bulletin) -> None:
        """Wrap a client; `connect` is the way to make one."""
        self.bulletin = bulletin
        self.client = client
        self._callbacks = callbacks
        self.name = name
        self.jetstream: JetStreamContext = client.jetstream(timeout=timeout)
        self._timeout = timeout
        self._pending: dict[str, asyncio.Future[Exception | None]] = {}
        self._numbers = itertools.count()
        self._acks = f"{inbox_prefix(name)}.ack.{secrets.token_hex(8)}"
        self._on_reconnect: list[Callable[[], None]] = []

    @classmethod
    async def connect(
        cls,
        url: str,
        identity: Identity,
        *,
        timeout: float = 2.0,
        patience: float = 10.0,
        bulletin: Bulletin | None = None,
    ) -> Self:
        """Connect to `url` ("tls://host:port", several by commas) as `identity`; make the streams that it keeps.

        `timeout` bounds a publish or a request, `patience` the wait for a server that is still starting, in seconds;
        `bulletin` is what the parts of this process share. Raises Unavailable when NATS stays away or does not accept
        the certificate.
        """
        told = Bulletin() if bulletin is None else bulletin
        return await retry_while_unavailable(lambda: cls._connect_once(url, identity, timeout, told), patience)

    @classmethod
    async def _connect_once(cls, url: str, identity: Identity, timeout: float, bulletin: Bulletin) -> Self:
        client = Client()
        context = identity.ssl_context()
        callbacks = _Callbacks(context, identity)
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await client.connect(
                    url.split(","),
                    name=identity.name,
                    tls=context,
                    tls_handshake_first=True,
                    inbox_prefix=inbox_prefix(identity.name),
                    connect_timeout=_CONNECT_SECONDS,
                    reconnect_time_wait=_RECONNECT_PAUSE,  # type: ignore[arg-type] # a float is only slept for
                    # One attempt at first: nats-py's own endless loop can lose the cancellation that should end it.
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    error_cb=callbacks.error,
                    disconnected_cb=callbacks.disconnected,
                    reconnected_cb=callbacks.reconnected,
                )
            client.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1}
            events = cls(client, callbacks, identity.name, timeout=timeout, bulletin=bulletin)
            callbacks.on_disconnect = events._fail_pending
            callbacks.on_reconnect = events._reconnected
            await client.subscribe(f"{events._acks}.*", cb=events._acknowledged)
            await events.ensure_streams(RIGHTS.get(identity.name, Rights()).keeps)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            await _close(client)
            raise _unavailable(callbacks.last_error) from error
        except BaseException:
            await _close(client)
            raise
        return events

    @property
    def is_ready(self) -> bool:
        """Whether the connection stands."""
        return self.client.is_connected

    @property
    def last_error(self) -> str:
        """What NATS complained about last, such as a subject that this service has no right to."""
        return self._callbacks.last_error

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` each time the connection comes back: what was told meanwhile is lost. The answer ends it."""
        self._on_reconnect.append(callback)
        return functools.partial(self._on_reconnect.remove, callback)

    async def ensure_streams(self, streams: Iterable[Stream]) -> None:
        """Make each stream, or bring its settings to what is declared. Raises Unavailable."""
        for stream in streams:
            with queue_errors_as_unavailable():
                try:
                    await self.jetstream.add_stream(_configuration(stream))
                except nats.js.errors.BadRequestError as error:
                    if error.err_code != _OTHER_CONFIGURATION:
                        raise
                    await self.jetstream.update_stream(_configuration(stream))

    async def publish(self, message: Message) -> None:
        """Publish and wait until the stream has stored it. Raises Unavailable; then it may be stored or not."""
        (error,) = await self.publish_all([message])
        if error is not None:
            raise error

    async def publish_all(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Publish all at once; for each message None where it is stored, else the error, in order."""
        if not self.is_ready:
            return [_unavailable() for _ in messages]
        sent = [await self._send(message) for message in messages]
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.gather(*(future for _, future in sent))
        except TimeoutError:
            return [
                future.result() if future.done() and not future.cancelled() else _unavailable() for _, future in sent
            ]
        finally:
            for token, _ in sent:
                self._pending.pop(token, None)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Subscription:
        """Hear a subject live, from now on and across reconnections; `unsubscribe()` of the answer ends it.

        Of the subscribers with the same `queue` one gets each message. An error of the handler is logged.
        """

        async def handle(message: Msg) -> None:
            try:
                await handler(message.subject, message.data)
            except Exception:  # noqa: BLE001 - one bad message must not end the subscription
                await log.aexception("event handler failed", subject=message.subject)

        subscription = await self.client.subscribe(subject, queue=queue, cb=handle)
        await self.flush()
        return subscription

    async def tell(self, subject: str, payload: bytes = b"", headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Publish to whoever listens now, without storing it. Raises Unavailable while NATS is away."""
        if not self.is_ready:
            raise _unavailable()
        await self.client.publish(subject, payload, headers=dict(headers))

    async def flush(self) -> None:
        """Wait until the server has seen everything sent so far. Raises Unavailable."""
        with queue_errors_as_unavailable():
            await self.client.flush(math.ceil(self._timeout))

    async def close(self) -> None:
        """Send what is buffered and close the connection, within two seconds."""
        self._callbacks.closing = True
        await _close(self.client)
        self._fail_pending()

    async def _send(self, message: Message) -> tuple[str, asyncio.Future[Exception | None]]:
        token = str(next(self._numbers))
        future: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._pending[token] = future
        headers = {**message.headers, MESSAGE_ID: message.id}
        try:
            await self.client.publish(message.subject, message.payload, f"{self._acks}.{token}", headers)
        except (nats.errors.MaxPayloadError, nats.errors.BadSubjectError) as error:
            future.set_result(error)
        except (nats.errors.Error, OSError):
            future.set_result(_unavailable())
        return token, future

    async def _acknowledged(self, message: Msg) -> None:
        future = self._pending.get(message.subject.rpartition(".")[2])
        if future is None or future.done():
            return
        stored = b'"seq"' in message.data and b'"error"' not in message.data
        future.set_result(None if stored else _unavailable(_refusal(message)))

    def _fail_pending(self) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_result(_unavailable())

    def _reconnected(self) -> None:
        for callback in tuple(self._on_reconnect):
            callback()


class _Callbacks:
    """What nats-py reports about the connection."""

    def __init__(self, context: ssl.SSLContext, identity: Identity) -> None:
        self._context = context
        self._identity = identity
        self.last_error = ""
        self.closing = False
        self.on_disconnect: Callable[[], None] = lambda: None
        self.on_reconnect: Callable[[], None] = lambda: None

    async def error(self, error: Exception) -> None:
        self.last_error = str(error) or type(error).__name__
        await log.adebug("queue error", error=self.last_error)

    async def disconnected(self) -> None:
        if self.closing:
            return
        await log.awarning("queue disconnected", error=self.last_error)
        self.on_disconnect()
        identity = self._identity
        with contextlib.suppress(OSError, ssl.SSLError):  # a file that is just being replaced: the old ones stay
            self._context.load_cert_chain(identity.certificate_file, identity.key_file)
            self._context.load_verify_locations(identity.authority_file)

    async def reconnected(self) -> None:
        await log.ainfo("queue reconnected")
        self.on_reconnect()


@contextlib.contextmanager
def queue_errors_as_unavailable() -> Iterator[None]:
    """Turn every failure of NATS or JetStream into `Unavailable`, and end a task whose cancellation nats-py lost.

    It waits by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes together with the answer.
    """
    try:
        yield
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError
    except MeshError:
        raise
    except (nats.errors.Error, OSError, ConnectionError) as error:
        raise _unavailable(str(error)) from error


async def _close(client: Client) -> None:
    with contextlib.suppress(TimeoutError, nats.errors.Error, OSError):
        async with asyncio.timeout(2):
            await client.close()


def _configuration(stream: Stream) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.work_queue else RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=stream.max_age or None,
        duplicate_window=stream.duplicate_window,
        discard=DiscardPolicy.NEW if stream.objects else DiscardPolicy.OLD,
        allow_rollup_hdrs=stream.objects,
    )


def _refusal(message: Msg) -> str:
    if message.headers and _STATUS in message.headers:
        return f"no stream takes the subject (status {message.headers[_STATUS]})"
    return message.data.decode(errors="replace")


def _unavailable(detail: str = "") -> Unavailable:
    message = "The queue cannot be reached at the moment; try again."
    return Unavailable(message, reason="QUEUE_UNAVAILABLE", metadata={"detail": detail} if detail else None)
