"""A service with an RPC of each kind, and a small mesh to serve it in: what the transport's tests stand on."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import buf.validate.validate_pb2  # noqa: F401 - the proto imports it
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

from mesh.call import Call
from mesh.channel import MeshChannel
from mesh.guard import load_guard
from mesh.identity import Identity, ensure_authority, ensure_identity
from mesh.server import MeshServer
from mesh.telemetry import Telemetry

HERE = Path(__file__).resolve().parent
TABLE = """
[service]
"proving.v1.ProvingService" = ["edge", "billing"]
"qm.mesh.v1.MultiplexService" = ["edge", "billing", "stranger"]
"grpc.health.v1.Health" = ["edge", "operator"]
"grpc.reflection.v1alpha.ServerReflection" = ["operator"]
"grpc.channelz.v1.Channelz" = ["operator"]
"""


def _compile() -> Any:
    with tempfile.NamedTemporaryFile() as output:
        roots = (HERE / "protos", HERE.parents[1] / "protos", files("grpc_tools") / "_proto")
        include = [f"-I{root}" for root in roots]
        status = protoc.main(["protoc", *include, f"--descriptor_set_out={output.name}", "proving.proto"])
        assert status == 0
        compiled = descriptor_pb2.FileDescriptorSet.FromString(output.read()).file
    pool = descriptor_pool.Default()
    pool.Add(compiled[0])
    return pool.FindFileByName("proving.proto")


_FILE = _compile()
SERVICE = _FILE.services_by_name["ProvingService"]
EchoRequest: Any = GetMessageClass(_FILE.message_types_by_name["EchoRequest"])
EchoResponse: Any = GetMessageClass(_FILE.message_types_by_name["EchoResponse"])
Key: Any = GetMessageClass(_FILE.message_types_by_name["Key"])
Number: Any = GetMessageClass(_FILE.message_types_by_name["Number"])


def path(name: str) -> str:
    return f"/{SERVICE.full_name}/{name}"


class Proving:
    """The service; a test puts its own handler in the place of the one that it is about."""

    async def Echo(self, request: Any, call: Call) -> Any:
        return EchoResponse(
            word=request.word,
            load=request.load,
            caller=call.caller,
            request_id=call.request_id,
            traceparent=call.traceparent,
            address=call.address,
            remaining_ms=int(min(call.remaining(), 1e6) * 1000),
        )

    async def Count(self, request: Any, _call: Call) -> AsyncIterator[Any]:
        for number in range(request.number):
            yield Number(number=number)

    async def Sum(self, requests: AsyncIterator[Any], _call: Call) -> Any:
        return Number(number=sum([request.number async for request in requests]))

    async def Converse(self, requests: AsyncIterator[Any], _call: Call) -> AsyncIterator[Any]:
        async for request in requests:
            yield Number(number=2 * request.number)


class Stub:
    """What generated code would give, over a MeshChannel or a plain one."""

    def __init__(self, channel: Any) -> None:
        for method in SERVICE.methods:
            kind = (
                f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
            )
            request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            call = getattr(channel, kind)(path(method.name), request.SerializeToString, response.FromString)
            setattr(self, method.name, call)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Mesh:
    """Servers and channels under one authority, which end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = ensure_authority(folder)
        self.stack = AsyncExitStack()
        self._names: dict[int, str] = {}

    def identity(self, name: str) -> Identity:
        return ensure_identity(self.authority, name)

    async def serve(
        self,
        service: object = None,
        *,
        name: str = "billing",
        port: int = 0,
        telemetry: Telemetry | None = None,
    ) -> MeshServer:
        server = MeshServer(f"127.0.0.1:{port}", self.identity(name), load_guard(TABLE), telemetry or Telemetry())
        server.add(SERVICE, service or Proving())
        await server.start()
        self._names[server.port] = name
        self.stack.push_async_callback(server.drain, 0)
        return server

    def channel(self, port: int, name: str = "edge", identity: Identity | None = None) -> MeshChannel:
        service = self._names.get(port, "billing")
        channel = MeshChannel(f"127.0.0.1:{port}", identity or self.identity(name), service)
        self.stack.push_async_callback(channel.close, 0)
        return channel

    def native(self, port: int, identity: Identity | None = None) -> grpc.aio.Channel:
        """A plain gRPC channel, of `edge` unless told."""
        credentials = (identity or self.identity("edge")).channel_credentials()
        channel = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)
        self.stack.push_async_callback(channel.close)
        return channel

    def stub(self, port: int, name: str = "edge") -> Any:
        return Stub(self.channel(port, name))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what nothing announces: it is looked for at every turn of the loop."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
