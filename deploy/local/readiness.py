"""Is a process ready? Asked as the identity `operator`: gRPC health over mTLS, or `GET /readyz` of the edge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from deploy.local.layout import Layout
from deploy.local.ports import HOST
from deploy.local.programs import Program
from mesh.identity import Identity

_TIMEOUT = 2.0
_OK = b"200"


def probe(program: Program, layout: Layout, operator: Identity) -> Callable[[], Awaitable[bool]]:
    """The question to ask a process, again and again."""
    port = layout.ports[program.name]
    if program.is_http:
        return lambda: answers_http(port, "/readyz")
    return HealthProbe(port, operator)


def every(probes: Sequence[Callable[[], Awaitable[bool]]]) -> Callable[[], Awaitable[bool]]:
    """The question to ask a process with several parts: whether all are ready; asked until the first that is not."""

    async def ready() -> bool:
        for asked in probes:
            if not await asked():
                return False
        return True

    return ready


async def accepts(port: int) -> bool:
    """Whether something listens on the port; much cheaper than asking it."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def answers_http(port: int, path: str) -> bool:
    """Whether `GET path` is answered with 200."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ", 2)[1:2] == [_OK]


class HealthProbe:
    """`grpc.health.v1.Health/Check` of one process; a connection for each question, so none is left behind."""

    def __init__(self, port: int, operator: Identity) -> None:
        """Ask the process on `port`."""
        self._port = port
        self._operator = operator

    async def __call__(self) -> bool:
        """Whether it says SERVING."""
        if not await accepts(self._port):
            return False
        import grpc  # noqa: PLC0415 - its import (0.1 s) runs while the processes start
        from grpc_health.v1 import health_pb2  # noqa: PLC0415

        try:
            async with grpc.aio.secure_channel(f"{HOST}:{self._port}", self._operator.channel_credentials()) as channel:
                check = channel.unary_unary(
                    "/grpc.health.v1.Health/Check",
                    request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                    response_deserializer=health_pb2.HealthCheckResponse.FromString,
                )
                answer: health_pb2.HealthCheckResponse = await check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
