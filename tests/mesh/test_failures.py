"""Errors say enough and not too much, and what nobody waits for is cancelled."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mesh.errors import (
    CLASSES,
    MUTE,
    InvalidArgument,
    MeshError,
    from_rpc_error,
)
from tests.mesh.proving import EchoRequest, Key, Mesh, Number, Proving, path
from tests.mesh.transports import KINDS, Transport, both, call, silence, then_silence


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_every_error_arrives_as_it_was_raised(mesh: Mesh, transport: Transport, kind: str) -> None:
    service = _Failing()
    server = await mesh.serve(service)
    stub = transport(mesh, server.port, mesh.identity("edge"))
    for cls in CLASSES:
        service.error = cls("too many “qubits”: 65", reason="TOO_MANY", field="circuit", metadata={"limit": "64"})
        with pytest.raises(MeshError) as raised:
            await call(stub, kind, silence)
        got = raised.value
        assert type(got) is cls
        assert (got.message, got.reason, got.field) == ("too many “qubits”: 65", "TOO_MANY", "circuit")
        assert got.metadata == {"limit": "64"}


@both
async def test_an_error_with_a_very_long_message_still_arrives(mesh: Mesh, transport: Transport) -> None:
    service = _Failing()
    service.error = InvalidArgument("漢" * 50_000, reason="PROGRAM_INVALID", metadata={"line": "é" * 50_000})
    server = await mesh.serve(service)
    with pytest.raises(InvalidArgument) as raised:
        await call(transport(mesh, server.port, mesh.identity("edge")), "Echo")
    assert raised.value.reason == "PROGRAM_INVALID"
    assert raised.value.message == "漢" * 2000


class _Failing(Proving):
    """Every handler raises `error`."""

    error: BaseException

    async def Echo(self, _request: object, _call: object) -> Any:
        raise self.error

    async def Count(self, _request: object, _call: object) -> AsyncIterator[Any]:
        raise self.error
        yield

    Sum = Echo
    Converse = Count


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_a_bug_is_mute_on_the_wire_and_has_its_trace_in_the_log(
    mesh: Mesh, transport: Transport, kind: str, log_lines: list[dict[str, Any]]
) -> None:
    service = _Failing()
    server = await mesh.serve(service)
    stub = transport(mesh, server.port, mesh.identity("edge"))
    for bug in (ZeroDivisionError("secret"), asyncio.CancelledError("secret"), TimeoutError("secret")):
        log_lines.clear()
        service.error = bug
        with pytest.raises(MeshError) as raised:
            await call(stub, kind, silence)
        error = raised.value
        assert (error.message, error.reason, error.field, error.metadata) == (MUTE, "INTERNAL", "", {})
        assert "secret" not in repr(error.__cause__)
        (line,) = [line for line in log_lines if line["event"] == "rpc_failed"]
        assert (line["method"], line["caller"], line["exc_info"]) == (path(kind), "edge", bug)


@both
@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        (EchoRequest(word="x" * 101), "word", "word: "),
        (EchoRequest(keys=[Key(name="a"), Key(name="b"), Key()]), "keys[2].name", "keys[2].name: "),
        (EchoRequest(labels={"a.b": Key()}), 'labels["a.b"].name', 'labels["a.b"].name: '),
    ],
)
async def test_a_violation_names_the_path_of_its_field(
    mesh: Mesh, transport: Transport, request_: Any, field: str, message: str
) -> None:
    server = await mesh.serve()
    with pytest.raises((InvalidArgument, grpc.aio.AioRpcError)) as raised:
        await transport(mesh, server.port, mesh.identity("edge")).Echo(request_, timeout=2)
    error = raised.value if isinstance(raised.value, MeshError) else from_rpc_error(raised.value)
    assert (type(error), error.reason, error.field) == (InvalidArgument, "INVALID_FIELD", field)
    assert error.message.startswith(message)


async def test_a_violation_of_a_rule_of_the_whole_message_names_no_field(mesh: Mesh) -> None:
    server = await mesh.serve()
    with pytest.raises(InvalidArgument) as raised:
        _ = [answer async for answer in mesh.stub(server.port).Count(Number(number=13))]
    assert (raised.value.field, raised.value.message) == ("", "13 brings bad luck")


@both
async def test_a_violation_within_a_stream_of_requests_ends_it(mesh: Mesh, transport: Transport) -> None:
    server = await mesh.serve()
    stub = transport(mesh, server.port, mesh.identity("edge"))
    stream = aiter(stub.Converse(then_silence(1, -1), timeout=2))
    assert (await anext(stream)).number == 2
    with pytest.raises((InvalidArgument, grpc.aio.AioRpcError)) as raised:
        await anext(stream)
    error = raised.value if isinstance(raised.value, MeshError) else from_rpc_error(raised.value)
    assert error.field == "number"


@both
@pytest.mark.parametrize("ending", ["deadline", "cancelled"])
async def test_a_handler_that_nobody_waits_for_is_cancelled(mesh: Mesh, transport: Transport, ending: str) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    class Stuck(Proving):
        async def Echo(self, _request: object, _call: object) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    server = await mesh.serve(Stuck())
    stub = transport(mesh, server.port, mesh.identity("edge"))
    timeout = 0.2 if ending == "deadline" else 20
    waiting = asyncio.ensure_future(stub.Echo(EchoRequest(), timeout=timeout))
    await started.wait()
    if ending == "cancelled":
        waiting.cancel()
    await asyncio.wait_for(cancelled.wait(), 2)
    with pytest.raises((asyncio.CancelledError, MeshError, grpc.aio.AioRpcError)):
        await waiting


async def test_a_cancelled_stream_closes_its_handler_at_once_and_in_its_own_task(mesh: Mesh) -> None:
    tasks: list[asyncio.Task[Any] | None] = []
    closed = asyncio.Event()

    class Endless(Proving):
        async def Count(self, _request: object, _call: object) -> AsyncIterator[Any]:
            tasks.append(asyncio.current_task())
            try:
                while True:
                    yield Number(number=1)
            finally:
                tasks.append(asyncio.current_task())
                closed.set()

    server = await mesh.serve(Endless())
    stream = mesh.stub(server.port).Count(Number(number=1))
    assert (await anext(stream)).number == 1
    await stream.aclose()
    await asyncio.wait_for(closed.wait(), 2)
    assert tasks[0] is tasks[1]
