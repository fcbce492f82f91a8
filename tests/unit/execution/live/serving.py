"""An HTTP server for the fakes of providers: real sockets, and faults as they are told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any]
"""A status and what is sent: JSON, or bytes as they are."""


@dataclass
class Fault:
    """What happens to the next requests whose method and path start like this."""

    method: str
    path: str
    status: int = 0
    """Answered instead; 0 closes the connection without an answer."""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """The request is served, and only its answer is replaced: a lost answer."""
    times: int = 1


class Fake:
    """A provider on this machine. `handle` is the subclass's; `requests` are all that came."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.faults: list[Fault] = []

    def handle(self, request: Request) -> Answer:
        raise NotImplementedError

    def count(self, method: str, path: str) -> int:
        return sum(each.method == method and each.path.startswith(path) for each in self.requests)

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and request.method == fault.method and request.path.startswith(fault.path):
                fault.times -= 1
                return fault
        return None

    def answer(self, request: Request) -> tuple[int, dict[str, str], Any] | None:
        """Status, headers and content; None to hang up."""
        self.requests.append(request)
        fault = self._fault(request)
        if fault is None or fault.after:
            status, content = self.handle(request)
            if fault is None:
                return status, {}, content
        return (fault.status, fault.headers, {"message": "a fault"}) if fault.status else None


@contextmanager
def serving(fake: Fake) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            parts = urlsplit(self.path)
            request = Request(self.command, parts.path, parse_qs(parts.query), self.headers, self.rfile.read(length))
            answer = fake.answer(request)
            if answer is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            status, headers, content = answer
            body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
