"""Unary calls as items of one long-lived stream: a small part of the CPU of a gRPC call each (bench/mesh.py).

Both sides write "flush while busy": what is ready while one write is in flight goes into the next message. Answers come
in any order. A server that drains says so with an answer to call 0, which is none: the client opens another stream for
new calls. When a stream ends, every pending call fails at once with StreamEnded, and the channel tries again: all unary
RPCs of the mesh are safe to repeat, since each is keyed (AIP-155).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from qm.mesh.v1 import multiplex_pb2 as wire

from mesh.call import ADMITTED_KEY, Call
from mesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    MeshError,
    ResourceExhausted,
    from_rpc_error,
    from_status,
    to_status,
)

if TYPE_CHECKING:
    from mesh.dispatch import Dispatcher

MULTIPLEX = "/qm.mesh.v1.MultiplexService/Multiplex"
IN_FLIGHT_LIMIT = 1024
"""Calls of one stream that are served at a time, and answers that wait for a peer that does not read them; past either
the server stops reading, and TCP pushes back."""
MESSAGE_BYTES = 1024 * 1024
"""A message is closed when it has grown to this size, so that small calls do not wait behind many large ones."""
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The most that gRPC takes in one message."""
MAX_ITEM_BYTES = MAX_MESSAGE_BYTES - 2 * MESSAGE_BYTES
"""The most that one request or response may take: one that is too large must not break the stream for the others."""
MAX_METADATA_BYTES = 64 * 1024
"""The most that the headers and trailers of a gRPC call may take; errors travel in trailers."""

_GOODBYE = 0
"""The call_id of the answer that says: no more calls on this stream. Calls count from 1."""
_REFUSALS = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)

Write = Callable[[bytes], Awaitable[None]]


class StreamEnded(Exception):
    """The stream broke, or could not be opened; whether the call was served is unknown."""


class _Outbox:
    """Items that wait to be written, each a serialised message with that one item.

    Serialised messages that are put end to end parse as one message with all the items: that is how protobuf merges.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: dict[int, bytes] = {}
        self._writer: asyncio.Task[None] | None = None

    def put(self, call_id: int, item: bytes) -> None:
        """Write `item` as soon as the stream takes it."""
        self._waiting[call_id] = item
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush())

    def withdraw(self, call_id: int) -> bool:
        """Take an item back; False where it is on its way already."""
        return self._waiting.pop(call_id, None) is not None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    async def written(self) -> None:
        """Wait until nothing is left."""
        if self._writer is not None:
            await self._writer

    async def _flush(self) -> None:
        # A write fails only because the stream ended, and the reader of the stream tells that.
        with contextlib.suppress(Exception):
            while self._waiting:
                await self._write(self._take())
        self._writer = None

    def _take(self) -> bytes:
        items: list[bytes] = []
        size = 0
        for item in self._waiting.values():
            items.append(item)
            size += len(item)
            if size >= MESSAGE_BYTES:
                break
        for call_id in list(self._waiting)[: len(items)]:
            del self._waiting[call_id]
        return b"".join(items)


class MultiplexServer:
    """The serving side: every stream of every peer."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        """Serve the methods of `dispatcher`."""
        self._dispatcher = dispatcher
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Ask for no more calls; each stream ends when those in flight are answered."""
        self._draining.set()

    async def serve(self, payloads: AsyncIterator[bytes], write: Write, caller: str) -> None:
        """Serve one stream of one peer until it ends or the server drains; raises InvalidArgument for what is none."""
        stream = _ServerStream(self._dispatcher, write, caller)
        reading = asyncio.create_task(stream.read(payloads))
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            else:
                await stream.finish()
        finally:
            draining.cancel()
            reading.cancel()
            stream.abandon()


class _ServerStream:
    """One stream: its calls in flight and the answers that wait to be written."""

    def __init__(self, dispatcher: Dispatcher, write: Write, caller: str) -> None:
        self._dispatcher = dispatcher
        self._outbox = _Outbox(write)
        self._caller = caller
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Event()

    async def read(self, payloads: AsyncIterator[bytes]) -> None:
        """Start a task for each call that comes."""
        async for payload in payloads:
            received = time.monotonic()
            for item in _calls(payload):
                if not item.method:
                    if (task := self._tasks.get(item.call_id)) is not None:
                        task.cancel()
                    continue
                while len(self._tasks) >= IN_FLIGHT_LIMIT:
                    self._room.clear()
                    await self._room.wait()
                if len(self._outbox) >= IN_FLIGHT_LIMIT:
                    await self._outbox.written()
                self._tasks[item.call_id] = asyncio.create_task(self._serve(item, received))

    async def finish(self) -> None:
        """Ask for no more calls, and wait until everything in flight is answered and written."""
        self._answer(_GOODBYE)
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        await self._outbox.written()

    def abandon(self) -> None:
        """Stop whatever is left: nobody waits for it any more."""
        for task in self._tasks.values():
            task.cancel()

    async def _serve(self, item: wire.Call, received: float) -> None:
        deadline = received + item.timeout_ms / 1000
        call = Call(self._caller, item.request_id, deadline, item.traceparent, item.address)
        # At the deadline the task is cancelled without an answer: the client's own clock has rung before.
        alarm = asyncio.get_running_loop().call_later(call.remaining(), self._tasks[item.call_id].cancel)
        try:
            response = await self._dispatcher.unary(item.method, item.request, call)
            _check_size(item.method, response)
        except MeshError as error:
            self._answer(item.call_id, status=to_status(error).SerializeToString())
        else:
            self._answer(item.call_id, response)
        finally:
            alarm.cancel()
            self._tasks.pop(item.call_id, None)
            self._room.set()

    def _answer(self, call_id: int, response: bytes = b"", status: bytes = b"") -> None:
        message = wire.MultiplexResponse()
        message.answers.add(call_id=call_id, response=response, status=status)
        self._outbox.put(call_id, message.SerializeToString())


class MultiplexClient:
    """The calling side of one stream. `closed` tells that it takes no more calls, and that another is to be made."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - grpc.aio's StreamStreamCall
        """Take an open stream."""
        self._stream = stream
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[wire.Answer]] = {}
        self._outbox = _Outbox(self._write)
        self._admitted = False
        # The stream outlives the call that opens it, and must not carry that call's context.
        self._reader = asyncio.create_task(self._read(), context=Context())
        self._ended = False
        self.closed = False

    async def call(
        self, method: str, payload: bytes, *, timeout: float, request_id: str, traceparent: str, address: str = ""
    ) -> bytes:
        """The answer to one call; raises the MeshError that the other side raised, or StreamEnded."""
        if self.closed:
            raise StreamEnded
        _check_size(method, payload)
        self._next_id += 1
        call_id = self._next_id
        loop = asyncio.get_running_loop()
        future: asyncio.Future[wire.Answer] = loop.create_future()
        self._pending[call_id] = future
        message = wire.MultiplexRequest()
        message.calls.add(
            call_id=call_id,
            method=method,
            request=payload,
            timeout_ms=max(1, min(int(timeout * 1000), 2**32 - 1)),
            request_id=request_id,
            traceparent=traceparent,
            address=address,
        )
        self._outbox.put(call_id, message.SerializeToString())
        # A plain timer: the bookkeeping of asyncio.timeout would show in the cost of a call.
        alarm = loop.call_later(timeout, self._expire, future, method, timeout)
        try:
            answer = await future
        except BaseException:
            self._forget(call_id)
            raise
        finally:
            alarm.cancel()
        if answer.status:
            raise from_status(status_pb2.Status.FromString(answer.status))
        return answer.response

    async def close(self, grace: float | None = None) -> None:
        """End the stream once its pending calls are answered, after `grace` seconds at the latest."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=grace)
        self._reader.cancel()
        self._stream.cancel()

    def _expire(self, future: asyncio.Future[wire.Answer], method: str, timeout: float) -> None:
        if future.done():
            return
        if not self._admitted:  # nobody there has heard of the call
            future.set_exception(StreamEnded())
            return
        message = f"{method} gave no answer within {timeout:.1f} s"
        future.set_exception(DeadlineExceeded(message, reason="DEADLINE_EXCEEDED"))

    def _forget(self, call_id: int) -> None:
        """Tell the other side that nobody waits any more, unless it has not heard of the call yet."""
        if self._pending.pop(call_id, None) is None or self._ended or self._outbox.withdraw(call_id):
            return
        message = wire.MultiplexRequest()
        message.calls.add(call_id=call_id)
        self._outbox.put(call_id, message.SerializeToString())

    async def _write(self, message: bytes) -> None:
        if not self._admitted:
            self._admitted = await is_admitted(self._stream)
        await self._stream.write(message)

    async def _read(self) -> None:
        refusal: grpc.aio.AioRpcError | None = None
        try:
            async for payload in self._stream:
                for answer in wire.MultiplexResponse.FromString(payload).answers:
                    if answer.call_id == _GOODBYE:
                        self.closed = True
                    future = self._pending.pop(answer.call_id, None)
                    if future is not None and not future.done():
                        future.set_result(answer)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                refusal = error
        finally:
            self._end(refusal)

    def _end(self, refusal: grpc.aio.AioRpcError | None) -> None:
        self.closed = self._ended = True
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(StreamEnded() if refusal is None else from_rpc_error(refusal))


async def is_admitted(stream: Any) -> bool:  # noqa: ANN401 - grpc.aio's calls with a stream of requests
    """Whether the peer has let a call in: answers once it said so, or the call has ended.

    Nothing may be written before: grpc.aio tells `Internal`, and not why, of a call that ends while it is written to.
    """
    if ADMITTED_KEY in await stream.initial_metadata():
        return True
    await stream.code()
    return False


def _calls(payload: bytes) -> Any:  # noqa: ANN401 - a repeated field
    try:
        return wire.MultiplexRequest.FromString(payload).calls
    except DecodeError as error:
        message = "the stream carries something else than calls"
        raise InvalidArgument(message, reason="MALFORMED_REQUEST") from error


def _check_size(method: str, payload: bytes) -> None:
    if len(payload) > MAX_ITEM_BYTES:
        message = f"{method}: a message of {len(payload)} bytes is larger than {MAX_ITEM_BYTES}"
        raise ResourceExhausted(message, reason="MESSAGE_TOO_LARGE")
