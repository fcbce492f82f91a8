"""The HTTP server: uvicorn on uvloop and httptools, started and drained by the process that it is part of."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from edge.app import Edge
from edge.protocol import BoundedProtocol
from mesh.errors import Unavailable

BACKLOG = 4096


class _Server(uvicorn.Server):
    """Leaves the signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """Serves an application until `drain`."""

    def __init__(self, app: ASGIApp, edge: Edge, listen: str, *, trusted_proxies: str, keep_alive_seconds: int) -> None:
        """Bind `listen` ("127.0.0.1:8080"; port 0 takes a free one); raises Unavailable where it is taken."""
        self._edge = edge
        self._socket = _bind(listen)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=functools.partial(BoundedProtocol, render=edge.unread),  # type: ignore[arg-type]
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=trusted_proxies,
                timeout_keep_alive=keep_alive_seconds,
                backlog=BACKLOG,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; returns once requests are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                await self._task
                message = "the HTTP server did not start"
                raise Unavailable(message, reason="HTTP_NOT_STARTED")
            await asyncio.sleep(0.005)

    async def drain(self, grace: float) -> None:
        """Take no new connections, end streams and waits at once, let other requests end within `grace` seconds."""
        self._edge.draining.set()
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=BACKLOG)
    except OSError as error:
        message = f"cannot listen on {listen}: {error.strerror}. Set another address in the configuration."
        raise Unavailable(message, reason="PORT_BUSY") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
