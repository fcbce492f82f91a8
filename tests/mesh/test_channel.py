"""The way to another service: it carries the call's context, finds a server again, and renews its certificates."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from qm.mesh.v1 import multiplex_pb2 as wire

from mesh.call import Call, current, serving
from mesh.channel import MeshChannel
from mesh.errors import Cancelled, DeadlineExceeded, Unavailable
from tests.mesh.proving import EchoRequest, EchoResponse, Mesh, Number, Proving, Stub

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class Relay(Proving):
    """Asks another Proving, with what the call brought along."""

    def __init__(self, further: Any) -> None:
        self._further = further

    async def Echo(self, request: Any, _call: Call) -> Any:
        return await self._further.Echo(request)

    async def Count(self, request: Any, _call: Call) -> AsyncIterator[Any]:
        async for number in self._further.Count(request):
            yield number


async def test_no_service_is_taken_for_another(mesh: Mesh) -> None:
    server = await mesh.serve(name="edge")
    async with MeshChannel(f"127.0.0.1:{server.port}", mesh.identity("edge"), "billing") as channel:
        with pytest.raises(Unavailable):
            await Stub(channel).Echo(EchoRequest(), timeout=1)
    await mesh.stub(server.port).Echo(EchoRequest())


async def test_request_id_trace_address_and_deadline_travel_from_service_to_service(mesh: Mesh) -> None:
    last = await mesh.serve()
    first = await mesh.serve(Relay(mesh.stub(last.port, "billing")), name="edge")
    stub = mesh.stub(first.port)
    with serving(Call("public", "req_7", time.monotonic() + 3, TRACEPARENT, "192.0.2.7")):
        answer = await stub.Echo(EchoRequest())
    assert (answer.caller, answer.request_id, answer.traceparent) == ("billing", "req_7", TRACEPARENT)
    assert answer.address == "192.0.2.7"
    assert 2000 < answer.remaining_ms <= 3000


async def test_request_id_and_trace_travel_with_streams_too(mesh: Mesh) -> None:
    seen: list[Call | None] = []

    class Watcher(Proving):
        async def Count(self, _request: Any, call: Call) -> AsyncIterator[Any]:
            seen.extend([call, current()])
            yield Number()

    last = await mesh.serve(Watcher())
    first = await mesh.serve(Relay(mesh.stub(last.port, "billing")), name="edge")
    with serving(Call("public", "req_7", time.monotonic() + 3, TRACEPARENT, "192.0.2.7")):
        _ = [number async for number in mesh.stub(first.port).Count(Number())]
    call = seen[0]
    assert call is not None
    assert seen == [call, call]
    assert (call.caller, call.request_id, call.traceparent) == ("billing", "req_7", TRACEPARENT)
    assert call.address == "192.0.2.7"
    assert 2 < call.remaining() <= 3


async def test_a_call_never_outlives_the_one_that_it_serves(mesh: Mesh) -> None:
    stub = mesh.stub((await mesh.serve()).port)
    with serving(Call("public", deadline=time.monotonic() + 0.5)):
        assert (await stub.Echo(EchoRequest(), timeout=60)).remaining_ms <= 500
    with serving(Call("public", deadline=time.monotonic())), pytest.raises(DeadlineExceeded):
        await stub.Echo(EchoRequest())


async def test_a_call_waits_for_a_busy_peer_as_long_as_somebody_waits_for_it(mesh: Mesh) -> None:
    last = await mesh.serve()
    first = await mesh.serve(Relay(mesh.stub(last.port, "billing")), name="edge")
    stub = mesh.stub(first.port)
    assert 4000 < (await stub.Echo(EchoRequest())).remaining_ms <= 5000, "nobody says how long"
    assert 19_000 < (await stub.Echo(EchoRequest(), timeout=20)).remaining_ms <= 20_000


async def test_a_peer_that_is_not_there_is_given_up_however_long_somebody_would_wait(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.callables.DEFAULT_TIMEOUT", 0.3)
    server = await mesh.serve()
    await server.drain(0)
    started = time.monotonic()
    with serving(Call("public", deadline=started + 60)), pytest.raises(Unavailable):
        await mesh.stub(server.port).Echo(EchoRequest())
    assert time.monotonic() - started < 5


async def test_what_outlives_the_first_call_does_not_carry_it(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.channel.RENEW_SECONDS", 0.01)
    seen: asyncio.Queue[Call | None] = asyncio.Queue()

    async def follow(_channel: MeshChannel) -> None:
        seen.put_nowait(current())

    monkeypatch.setattr(MeshChannel, "_follow", follow)
    with serving(Call("public", "req_7")):
        await mesh.stub((await mesh.serve()).port).Echo(EchoRequest())
        assert await asyncio.wait_for(seen.get(), 2) is None


async def test_a_stream_past_its_deadline_ends_on_both_sides(mesh: Mesh) -> None:
    ended = asyncio.Event()

    class Silent(Proving):
        async def Count(self, _request: Any, _call: Call) -> AsyncIterator[Any]:
            try:
                await asyncio.Event().wait()
                yield
            finally:
                ended.set()

    stub = mesh.stub((await mesh.serve(Silent())).port)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        _ = [number async for number in stub.Count(Number(), timeout=0.2)]
    assert time.monotonic() - started < 1
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_stream_whose_server_is_gone_says_so(mesh: Mesh) -> None:
    server = await mesh.serve()
    await server.drain(0)
    with pytest.raises(Unavailable) as gone:
        _ = [number async for number in mesh.stub(server.port).Count(Number(number=1), timeout=2)]
    assert (gone.value.reason, gone.value.message) == ("PEER_UNAVAILABLE", "billing does not answer")


async def test_a_stream_of_requests_that_fails_does_not_cancel_its_caller(mesh: Mesh) -> None:
    async def broken() -> AsyncIterator[Any]:
        raise ZeroDivisionError
        yield

    stub = mesh.stub((await mesh.serve()).port)
    with pytest.raises(Cancelled):
        await stub.Sum(broken(), timeout=2)


async def test_a_server_on_the_same_port_is_found_again_within_two_seconds(mesh: Mesh) -> None:
    first = await mesh.serve()
    stub = mesh.stub(first.port)
    await stub.Echo(EchoRequest())
    await first.drain(0)
    waiting = [asyncio.create_task(stub.Echo(EchoRequest(word="waited"))) for _ in range(50)]
    with pytest.raises(Unavailable):
        await stub.Echo(EchoRequest(), timeout=0.6)
    back = time.monotonic()
    await mesh.serve(port=first.port)
    answers = await asyncio.gather(*waiting)
    assert {answer.word for answer in answers} == {"waited"}
    assert time.monotonic() - back < 2


async def test_a_peer_that_was_never_there_is_unavailable_before_the_deadline(mesh: Mesh) -> None:
    server = await mesh.serve()
    await server.drain(0)
    started = time.monotonic()
    with pytest.raises(Unavailable) as missing:
        await mesh.stub(server.port).Echo(EchoRequest(), timeout=0.5)
    assert (missing.value.reason, missing.value.message) == ("PEER_UNAVAILABLE", "billing does not answer")
    assert time.monotonic() - started < 0.6


async def test_an_unavailable_that_the_peer_answered_is_not_tried_again(mesh: Mesh) -> None:
    calls = itertools.count(1)

    class Down(Proving):
        async def Echo(self, _request: Any, _call: Call) -> Any:
            raise Unavailable(f"call {next(calls)}", reason="PEER_UNAVAILABLE")

    stub = mesh.stub((await mesh.serve(Down())).port)
    with pytest.raises(Unavailable, match="call 1"):
        await stub.Echo(EchoRequest())


async def test_a_closed_channel_takes_no_calls_and_waits_for_those_it_has(mesh: Mesh) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    class Held(Proving):
        async def Echo(self, _request: Any, _call: Call) -> Any:
            started.set()
            await release.wait()
            return EchoResponse(word="done")

    channel = mesh.channel((await mesh.serve(Held())).port)
    stub: Any = Stub(channel)
    held = asyncio.create_task(stub.Echo(EchoRequest()))
    await started.wait()
    closing = asyncio.create_task(channel.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await stub.Echo(EchoRequest())
    assert refused.value.reason == "SHUTTING_DOWN"
    release.set()
    assert (await held).word == "done"
    await asyncio.wait_for(closing, 2)


async def test_nothing_is_opened_before_the_first_call(mesh: Mesh) -> None:
    channel = mesh.channel(1)
    Stub(channel)
    assert channel._connection is None


def test_messages_put_end_to_end_parse_as_one() -> None:
    one, two = (wire.MultiplexRequest(calls=[wire.Call(call_id=number, method="/a/b")]) for number in (1, 2))
    both = wire.MultiplexRequest.FromString(one.SerializeToString() + two.SerializeToString())
    assert [call.call_id for call in both.calls] == [1, 2]
