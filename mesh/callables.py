"""What a stub calls: one class for each shape of an RPC, over the connection of the moment."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from mesh.call import ADDRESS_KEY, REQUEST_ID_KEY, TRACEPARENT_KEY, Call, current
from mesh.errors import Cancelled, DeadlineExceeded, Unavailable, from_rpc_error, peer_unavailable
from mesh.multiplex import StreamEnded, is_admitted

if TYPE_CHECKING:
    from mesh.channel import MeshChannel
    from mesh.dispatch import Dispatcher

DEFAULT_TIMEOUT = 5.0
FIRST_RETRY_SECONDS = 0.02
LAST_RETRY_SECONDS = 0.5


class UnaryCall:
    """One unary method of a service."""

    def __init__(self, channel: MeshChannel, method: str, parse: Callable[[bytes], Any]) -> None:
        """Bind a method of a channel."""
        self._channel = channel
        self._method = method
        self._parse = parse

    async def __call__(self, request: Message, *, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Call it; raises MeshError. `timeout` is in seconds and never longer than what the current call has left.

        Without one it is all of that: who waits for twenty seconds is not refused because a busy peer took six. A peer
        that is not there at all is given up after DEFAULT_TIMEOUT, as is one that nobody waits for.
        """
        call = current()
        awaited = float("inf") if call is None else call.deadline
        given_up = time.monotonic() + (DEFAULT_TIMEOUT if timeout is None else timeout)
        deadline = awaited if timeout is None and awaited < float("inf") else min(given_up, awaited)
        payload = request.SerializeToString()
        request_id, traceparent, address = (call.request_id, call.traceparent, call.address) if call else ("", "", "")
        pause = FIRST_RETRY_SECONDS
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise DeadlineExceeded(f"no time left to call {self._method}", reason="DEADLINE_EXCEEDED")
            try:
                if (neighbour := self._channel.neighbour()) is not None:
                    asked = Call(self._channel.caller, request_id, deadline, traceparent, address)
                    return self._parse(await self._ask(neighbour, payload, asked))
                client = self._channel.connection().client()
                answer = await client.call(
                    self._method,
                    payload,
                    timeout=remaining,
                    request_id=request_id,
                    traceparent=traceparent,
                    address=address,
                )
                return self._parse(answer)
            except StreamEnded as ended:
                if min(given_up, deadline) - time.monotonic() <= pause:
                    raise peer_unavailable(self._channel.service) from ended
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(LAST_RETRY_SECONDS, pause * 2)

    async def _ask(self, neighbour: Dispatcher, payload: bytes, call: Call) -> bytes:
        """The answer of a service of this process; raises MeshError."""
        try:
            async with asyncio.timeout(call.remaining()):
                return await neighbour.unary(self._method, payload, call)
        except TimeoutError:
            message = f"{self._channel.service} did not answer {self._method} in time"
            raise DeadlineExceeded(message, reason="DEADLINE_EXCEEDED") from None


class _NativeCall:
    """A method with a stream in it, as gRPC's own call.

    Requests of a stream wait until the peer has admitted the call, so that a refusal arrives as it is. Where a peer
    ends the call later, while a request is being written, grpc.aio tells `Internal` and not why.
    """

    def __init__(self, channel: MeshChannel, kind: str, method: tuple[Any, ...]) -> None:
        """Bind a method of a channel: its path, how to serialise and how to parse."""
        self._channel = channel
        self._kind = kind
        self._method = method

    @contextmanager
    def _started(self, request: object, timeout: float | None) -> Iterator[Any]:
        """The gRPC call, cancelled at the end of the block; what gRPC raises within becomes a MeshError."""
        call = current()
        metadata: tuple[tuple[str, str], ...] = ()
        if call is not None:
            metadata = (
                (REQUEST_ID_KEY, call.request_id),
                (TRACEPARENT_KEY, call.traceparent),
                (ADDRESS_KEY, call.address),
            )
        remaining = min(call.remaining() if call else float("inf"), float("inf") if timeout is None else timeout)
        native = getattr(self._channel.connection().channel, self._kind)(*self._method)
        asked = _once_admitted(request, lambda: started) if isinstance(request, AsyncIterable) else request
        started = native(asked, timeout=None if remaining == float("inf") else remaining, metadata=metadata)
        try:
            yield started
        except grpc.aio.AioRpcError as error:
            translated = from_rpc_error(error)
            if isinstance(translated, Unavailable) and translated.reason == "PEER_UNAVAILABLE":
                translated = peer_unavailable(self._channel.service)
            raise translated from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # gRPC ends a call like this when its requests fail or its channel closes: our own task goes on.
            raise Cancelled(f"the call to {self._channel.service} was given up", reason="CANCELLED") from None
        finally:
            started.cancel()


async def _once_admitted(requests: AsyncIterable[Message], started: Callable[[], Any]) -> AsyncIterator[Message]:
    """The requests of a call that the peer has let in; none of another."""
    if await is_admitted(started()):
        async for request in requests:
            yield request


class StreamCall(_NativeCall):
    """One method of a service that streams its responses."""

    async def __call__(
        self, request: Message | AsyncIterable[Message], *, timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """Call it and yield what comes; raises MeshError. `timeout` bounds the whole stream, in seconds."""
        with self._started(request, timeout) as responses:
            async for response in responses:
                yield response


class CollectCall(_NativeCall):
    """One method of a service that takes a stream of requests and gives one response."""

    async def __call__(self, requests: AsyncIterable[Message], *, timeout: float = DEFAULT_TIMEOUT) -> Any:  # noqa: ANN401
        """Call it; raises MeshError. It is not tried again, since the requests are gone."""
        with self._started(requests, timeout) as response:
            return await response
