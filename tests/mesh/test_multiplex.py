"""Many calls on one stream: out of order, large beside small, bounded, cancelled, in time, and drained."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from qm.mesh.v1 import multiplex_pb2 as wire

from mesh.call import ADMITTED_KEY, Call
from mesh.dispatch import Dispatcher
from mesh.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from mesh.guard import load_guard
from mesh.multiplex import MESSAGE_BYTES, MultiplexClient, MultiplexServer, StreamEnded, _Outbox
from mesh.telemetry import Telemetry
from tests.mesh.proving import SERVICE, TABLE, EchoRequest, EchoResponse, Mesh, Proving, Stub, path, until

Handler = Callable[[Any, Call], Awaitable[Any]]


class Gate(Proving):
    """Holds each Echo until the test lets it go, and tells what became of it."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.open: dict[str, asyncio.Event] = {}
        self.inside = 0
        self.most = 0

    async def Echo(self, request: Any, call: Call) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.started.put_nowait(request.word)
        try:
            await self.open.setdefault(request.word, asyncio.Event()).wait()
            return await super().Echo(request, call)
        except asyncio.CancelledError:
            self.ended.put_nowait(f"{request.word} cancelled")
            raise
        finally:
            self.inside -= 1

    def release(self, word: str) -> None:
        self.open.setdefault(word, asyncio.Event()).set()


async def test_answers_come_in_the_order_in_which_they_are_ready(mesh: Mesh) -> None:
    gate = Gate()
    stub = mesh.stub((await mesh.serve(gate)).port)
    calls = {word: asyncio.create_task(stub.Echo(EchoRequest(word=word))) for word in "abc"}
    for word in "cab":
        gate.release(word)
        assert (await calls[word]).word == word
        assert not any(call.done() for call in calls.values() if call is not calls[word])
        del calls[word]


async def test_thousands_of_calls_at_once_each_get_their_own_answer(mesh: Mesh) -> None:
    stub = mesh.stub((await mesh.serve()).port)
    answers = await asyncio.gather(*(stub.Echo(EchoRequest(word=str(n)), timeout=20) for n in range(3000)))
    assert [answer.word for answer in answers] == [str(n) for n in range(3000)]


async def test_large_messages_travel_beside_small_ones(mesh: Mesh) -> None:
    stub = mesh.stub((await mesh.serve()).port)
    loads = [bytes([n]) * (8 * 1024 * 1024 if n % 50 == 7 else 10) for n in range(60)]
    answers = await asyncio.gather(*(stub.Echo(EchoRequest(load=load), timeout=20) for load in loads))
    assert [answer.load for answer in answers] == loads


async def test_no_more_calls_than_the_limit_are_served_at_a_time(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.multiplex.IN_FLIGHT_LIMIT", 4)
    gate = Gate()
    stub = mesh.stub((await mesh.serve(gate)).port)
    calls = [asyncio.create_task(stub.Echo(EchoRequest(word="all"), timeout=10)) for _ in range(50)]
    for _ in range(4):
        await gate.started.get()
    gate.release("all")
    await asyncio.gather(*calls)
    assert gate.most == 4


async def test_a_peer_that_reads_no_answers_is_not_read_from_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.multiplex.IN_FLIGHT_LIMIT", 4)
    dispatcher = Dispatcher(load_guard(TABLE), Telemetry())
    dispatcher.add(SERVICE, Proving())
    read, slow = [], Slow()

    async def calls() -> AsyncIterator[bytes]:
        for number in range(1, 101):
            read.append(number)
            call = wire.Call(call_id=number, method=path("Echo"), timeout_ms=60_000)
            yield wire.MultiplexRequest(calls=[call]).SerializeToString()
            await asyncio.sleep(0)

    serving = asyncio.create_task(MultiplexServer(dispatcher).serve(calls(), slow.write, "edge"))
    await until(lambda: len(slow.written) == 1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(read) < 20
    for _ in range(100):
        slow.room.release()
    await serving
    assert len(read) == 100


async def test_calls_beyond_the_limit_time_out_and_make_room(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.multiplex.IN_FLIGHT_LIMIT", 2)
    gate = Gate()
    stub = mesh.stub((await mesh.serve(gate)).port)
    stuck = await asyncio.gather(
        *(stub.Echo(EchoRequest(word="stuck"), timeout=0.2) for _ in range(10)), return_exceptions=True
    )
    assert all(isinstance(error, DeadlineExceeded) for error in stuck)
    gate.release("free")
    assert (await stub.Echo(EchoRequest(word="free"))).word == "free"


async def test_a_deadline_ends_the_call_on_both_sides_in_time(mesh: Mesh) -> None:
    gate = Gate()
    stub = mesh.stub((await mesh.serve(gate)).port)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as late:
        await stub.Echo(EchoRequest(word="late"), timeout=0.2)
    assert 0.15 < time.monotonic() - started < 1
    assert late.value.reason == "DEADLINE_EXCEEDED"
    assert await asyncio.wait_for(gate.ended.get(), 1) == "late cancelled"


async def test_the_callee_sees_the_time_that_is_left(mesh: Mesh) -> None:
    stub = mesh.stub((await mesh.serve()).port)
    answer = await stub.Echo(EchoRequest(), timeout=3)
    assert 2000 < answer.remaining_ms <= 3000


async def test_a_cancelled_call_cancels_its_handler_and_no_other(mesh: Mesh) -> None:
    gate = Gate()
    stub = mesh.stub((await mesh.serve(gate)).port)
    gone, kept = (asyncio.create_task(stub.Echo(EchoRequest(word=word))) for word in ("gone", "kept"))
    assert {await gate.started.get(), await gate.started.get()} == {"gone", "kept"}
    gone.cancel()
    assert await asyncio.wait_for(gate.ended.get(), 1) == "gone cancelled"
    with pytest.raises(asyncio.CancelledError):
        await gone
    gate.release("kept")
    assert (await kept).word == "kept"


async def test_a_message_that_is_too_large_fails_alone(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.multiplex.MAX_ITEM_BYTES", 1000)

    class Talkative(Gate):
        async def Echo(self, request: Any, call: Call) -> Any:
            if request.word == "much":
                return EchoResponse(load=b"x" * 1001)
            return await super().Echo(request, call)

    gate = Talkative()
    stub = mesh.stub((await mesh.serve(gate)).port)
    other = asyncio.create_task(stub.Echo(EchoRequest(word="other")))
    await gate.started.get()
    for request in (EchoRequest(load=b"x" * 1001), EchoRequest(word="much")):
        with pytest.raises(ResourceExhausted) as refused:
            await stub.Echo(request)
        assert refused.value.reason == "MESSAGE_TOO_LARGE"
    gate.release("other")
    assert (await other).word == "other"


async def test_a_drain_lets_calls_in_flight_end_and_returns_with_the_last(mesh: Mesh) -> None:
    gate = Gate()
    server = await mesh.serve(gate)
    channel = mesh.channel(server.port)
    stub: Any = Stub(channel)
    call = asyncio.create_task(stub.Echo(EchoRequest(word="last")))
    await gate.started.get()
    client = channel.connection().client()
    draining = asyncio.create_task(server.drain(30))
    await until(lambda: client.closed)
    with pytest.raises(Unavailable) as refused:
        await stub.Echo(EchoRequest(word="new"), timeout=0.3)
    assert refused.value.reason == "PEER_UNAVAILABLE"
    assert not draining.done()
    gate.release("last")
    started = time.monotonic()
    assert (await call).word == "last"
    await draining
    assert time.monotonic() - started < 1


async def test_a_drain_of_an_idle_server_returns_at_once(mesh: Mesh) -> None:
    server = await mesh.serve()
    await mesh.stub(server.port).Echo(EchoRequest())
    started = time.monotonic()
    await server.drain(30)
    assert time.monotonic() - started < 1


async def test_a_drain_cancels_what_is_left_after_its_grace(mesh: Mesh) -> None:
    gate = Gate()
    server = await mesh.serve(gate)
    stub = mesh.stub(server.port)
    call = asyncio.create_task(stub.Echo(EchoRequest(word="stuck"), timeout=1))
    await gate.started.get()
    await server.drain(0.1)
    assert await asyncio.wait_for(gate.ended.get(), 1) == "stuck cancelled"
    with pytest.raises(Unavailable):
        await call


async def test_a_server_is_replaced_under_load_without_a_failed_call(mesh: Mesh) -> None:
    first = await mesh.serve()
    stub = mesh.stub(first.port)
    done = asyncio.Event()

    async def load(number: int) -> int:
        calls = 0
        while not done.is_set():
            assert (await stub.Echo(EchoRequest(word=str(number)))).word == str(number)
            calls += 1
        return calls

    load_ = [asyncio.create_task(load(number)) for number in range(20)]
    await stub.Echo(EchoRequest())
    await first.drain(5)
    await mesh.serve(port=first.port)
    await stub.Echo(EchoRequest())
    done.set()
    assert min(await asyncio.gather(*load_)) > 0


class Slow:
    """A stream that takes a message whenever the test says so."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.room = asyncio.Semaphore(0)
        self.ended = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.ended.wait()
        return
        yield

    async def initial_metadata(self) -> dict[str, str]:
        return {ADMITTED_KEY: "yes"}

    async def write(self, message: bytes) -> None:
        self.written.append(message)
        await self.room.acquire()


async def test_what_waits_during_a_write_goes_into_the_next_one() -> None:
    slow = Slow()
    outbox = _Outbox(slow.write)
    outbox.put(1, b"a")
    await until(lambda: slow.written == [b"a"])
    for number, item in enumerate((b"b", b"c", b"d", b"e"), 2):
        outbox.put(number, item)
    assert outbox.withdraw(3)
    assert not outbox.withdraw(1)
    slow.room.release()
    slow.room.release()
    await outbox.written()
    assert slow.written == [b"a", b"bde"]


async def test_nothing_is_written_when_all_that_waited_is_withdrawn() -> None:
    slow = Slow()
    outbox = _Outbox(slow.write)
    outbox.put(1, b"a")
    assert outbox.withdraw(1)
    await outbox.written()
    assert slow.written == []


async def test_a_call_that_is_cancelled_before_it_was_written_is_never_heard_of() -> None:
    slow = Slow()
    client = MultiplexClient(slow)
    first, second = (
        asyncio.create_task(client.call(method, b"", timeout=5, request_id="", traceparent=""))
        for method in ("/a/First", "/a/Second")
    )
    await until(lambda: len(slow.written) == 1)
    third = asyncio.create_task(client.call("/a/Third", b"", timeout=5, request_id="", traceparent=""))
    await asyncio.sleep(0)
    for call in (third, second):
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    slow.room.release()
    slow.room.release()
    await client._outbox.written()
    sent = [[call.method for call in wire.MultiplexRequest.FromString(message).calls] for message in slow.written]
    assert sent == [["/a/First", "/a/Second"], [""]]
    slow.ended.set()
    with pytest.raises(StreamEnded):
        await first


async def test_a_message_is_closed_when_it_is_large_enough() -> None:
    slow = Slow()
    outbox = _Outbox(slow.write)
    large = b"x" * MESSAGE_BYTES
    for number, item in enumerate((b"a", large, b"b", b"c"), 1):
        outbox.put(number, item)
    slow.room.release()
    slow.room.release()
    await outbox.written()
    assert slow.written == [b"a" + large, b"bc"]


async def test_a_write_that_fails_is_the_readers_to_tell() -> None:
    async def broken(_message: bytes) -> None:
        raise ConnectionError

    outbox = _Outbox(broken)
    outbox.put(1, b"a")
    with suppress(TimeoutError):
        await asyncio.wait_for(outbox.written(), 1)
    outbox.put(2, b"b")
    await outbox.written()
