"""Unary calls as items of one long-lived stream: about a twentieth of the CPU of a gRPC call each.

Both sides write "flush while busy": what is ready while one write is in flight goes into the next message. Answers come
in any order. When the stream ends, every pending call fails at once as PEER_UNAVAILABLE, and the channel tries again:
all unary RPCs of the mesh are safe to repeat, since each is keyed (AIP-155).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import status_pb2  # type: ignore[import-untyped]
from qm.mesh.v1 import multiplex_pb2 as wire

from mesh.call import Call
from mesh.errors import DeadlineExceeded, MeshError, Unavailable, from_rpc_error, from_status, to_status

if TYPE_CHECKING:
    from mesh.dispatch import Dispatcher

MULTIPLEX = "/qm.mesh.v1.MultiplexService/Multiplex"
IN_FLIGHT_LIMIT = 1024
"""Calls of one stream that are served at a time; past that the server stops reading, and TCP pushes back."""
MESSAGE_BYTES = 1024 * 1024
"""A message is closed when it has grown to this size, so that small calls do not wait behind many large ones."""

_REFUSALS = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)

Write = Callable[[bytes], Awaitable[None]]


def _take(waiting: list[Any], message: Any) -> None:  # noqa: ANN401 - calls or answers, alike on both sides
    """Move items from `waiting` into the repeated field `message`, up to MESSAGE_BYTES."""
    size = count = 0
    for item in waiting:
        size += item.ByteSize()
        count += 1
        if size >= MESSAGE_BYTES:
            break
    message.extend(waiting[:count])
    del waiting[:count]


class MultiplexServer:
    """The serving side: every stream of every peer."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        """Serve the methods of `dispatcher`."""
        self._dispatcher = dispatcher
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Read no more calls; each stream ends when those in flight are answered."""
        self._draining.set()

    async def serve(self, payloads: AsyncIterator[bytes], write: Write, caller: str) -> None:
        """Serve one stream of one peer until it ends or the server drains."""
        stream = _ServerStream(self._dispatcher, write, caller)
        reading = asyncio.create_task(stream.read(payloads))
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            if self._draining.is_set():
                await stream.finish()
        finally:
            draining.cancel()
            reading.cancel()
            stream.abandon()


class _ServerStream:
    """One stream: its calls in flight and the answers that wait to be written."""

    def __init__(self, dispatcher: Dispatcher, write: Write, caller: str) -> None:
        self._dispatcher = dispatcher
        self._write = write
        self._caller = caller
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answers: list[wire.Answer] = []
        self._writer: asyncio.Task[None] | None = None
        self._room = asyncio.Event()

    async def read(self, payloads: AsyncIterator[bytes]) -> None:
        """Start a task for each call that comes."""
        async for payload in payloads:
            for item in wire.MultiplexRequest.FromString(payload).calls:
                if not item.method:
                    if (task := self._tasks.get(item.call_id)) is not None:
                        task.cancel()
                    continue
                self._tasks[item.call_id] = asyncio.create_task(self._serve(item))
            while len(self._tasks) >= IN_FLIGHT_LIMIT:
                self._room.clear()
                await self._room.wait()

    async def finish(self) -> None:
        """Wait until everything in flight is answered and written."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        if self._writer is not None:
            await self._writer

    def abandon(self) -> None:
        """Stop whatever is left: nobody waits for it any more."""
        for task in self._tasks.values():
            task.cancel()

    async def _serve(self, item: wire.Call) -> None:
        answer = wire.Answer(call_id=item.call_id)
        deadline = time.monotonic() + item.timeout_ms / 1000
        call = Call(self._caller, item.request_id, deadline, item.traceparent)
        try:
            async with asyncio.timeout(item.timeout_ms / 1000):
                answer.response = await self._dispatcher.unary(item.method, item.request, call)
        except MeshError as error:
            answer.status = to_status(error).SerializeToString()
        except TimeoutError:
            late = DeadlineExceeded(f"{item.method} ran out of time", reason="DEADLINE_EXCEEDED")
            answer.status = to_status(late).SerializeToString()
        finally:
            del self._tasks[item.call_id]
            self._room.set()
        self._answers.append(answer)
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._answers:
                message = wire.MultiplexResponse()
                _take(self._answers, message.answers)
                await self._write(message.SerializeToString())
        finally:
            self._writer = None


def _lost(target: str) -> Unavailable:
    return Unavailable(f"{target} does not answer", reason="PEER_UNAVAILABLE")


class MultiplexClient:
    """The calling side of one stream. It is over when the stream ends: `closed` tells, and a new one is made."""

    def __init__(self, target: str, stream: Any) -> None:  # noqa: ANN401 - grpc.aio's StreamStreamCall
        """Take an open stream to `target`, which is named in errors."""
        self._target = target
        self._stream = stream
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[wire.Answer]] = {}
        self._calls: list[wire.Call] = []
        self._writer: asyncio.Task[None] | None = None
        self._reader = asyncio.create_task(self._read())
        self.closed = False

    async def call(self, method: str, payload: bytes, *, timeout: float, request_id: str, traceparent: str) -> bytes:
        """The answer to one call; raises the MeshError that the other side raised, or PEER_UNAVAILABLE."""
        if self.closed:
            raise _lost(self._target)
        self._next_id += 1
        call_id = self._next_id
        future: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._pending[call_id] = future
        milliseconds = max(1, min(int(timeout * 1000), 2**32 - 1))
        self._send(
            wire.Call(
                call_id=call_id,
                method=method,
                request=payload,
                timeout_ms=milliseconds,
                request_id=request_id,
                traceparent=traceparent,
            )
        )
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            self._forget(call_id)
            message = f"{method} gave no answer within {timeout:.1f} s"
            raise DeadlineExceeded(message, reason="DEADLINE_EXCEEDED") from None
        except asyncio.CancelledError:
            self._forget(call_id)
            raise
        if answer.status:
            raise from_status(status_pb2.Status.FromString(answer.status))
        return answer.response

    async def close(self) -> None:
        """End the stream once its pending calls are answered."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()))
        self._reader.cancel()
        self._stream.cancel()

    def _forget(self, call_id: int) -> None:
        if self._pending.pop(call_id, None) is not None and not self.closed:
            self._send(wire.Call(call_id=call_id))

    def _send(self, item: wire.Call) -> None:
        self._calls.append(item)
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._calls:
                message = wire.MultiplexRequest()
                _take(self._calls, message.calls)
                await self._stream.write(message.SerializeToString())
        except Exception:  # noqa: BLE001 - whatever ended the stream, the calls on it are lost
            self._end()
        finally:
            self._writer = None

    async def _read(self) -> None:
        try:
            async for payload in self._stream:
                for answer in wire.MultiplexResponse.FromString(payload).answers:
                    future = self._pending.pop(answer.call_id, None)
                    if future is not None and not future.done():
                        future.set_result(answer)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                self._end(from_rpc_error(error))
        finally:
            self._end()

    def _end(self, refusal: MeshError | None = None) -> None:
        self.closed = True
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(refusal or _lost(self._target))
