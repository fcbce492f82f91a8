"""The two ways to a service, the mesh's own channel and plain gRPC, and one call of each kind over either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from mesh.errors import (
    from_rpc_error,
)
from mesh.identity import Identity
from tests.mesh.proving import EchoRequest, Mesh, Number, Stub

KINDS = ("Echo", "Count", "Sum", "Converse")
Transport = Callable[[Mesh, int, Identity], Any]


async def numbers(*values: int) -> AsyncIterator[Any]:
    for value in values:
        yield Number(number=value)


async def silence(*_: int) -> AsyncIterator[Any]:
    """Requests that never come: grpc.aio forgets the status of a call that ends while a request is being written."""
    await asyncio.Event().wait()
    yield


async def then_silence(*values: int) -> AsyncIterator[Any]:
    for value in values:
        yield Number(number=value)
    await asyncio.Event().wait()


async def call(stub: Any, kind: str, requests: Callable[..., Any] = numbers) -> Any:
    """One call of a kind over any channel; what comes back, and a MeshError for what goes wrong."""
    try:
        if kind == "Echo":
            return (await stub.Echo(EchoRequest(word="hello"), timeout=2)).word
        if kind == "Count":
            return [answer.number async for answer in stub.Count(Number(number=3), timeout=2)]
        if kind == "Sum":
            return (await stub.Sum(requests(1, 2, 3), timeout=2)).number
        return [answer.number async for answer in stub.Converse(requests(1, 2), timeout=2)]
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


def through_mesh(mesh: Mesh, port: int, identity: Identity) -> Any:
    return Stub(mesh.channel(port, identity=identity))


def native(mesh: Mesh, port: int, identity: Identity) -> Any:
    return Stub(mesh.native(port, identity))


both = pytest.mark.parametrize("transport", [through_mesh, native])
