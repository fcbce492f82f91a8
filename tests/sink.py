"""An endpoint for webhooks: a real HTTP/1.1 server, with or without TLS, that does as it is told."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Received], Awaitable[bytes]]
"""The bytes of the answer; empty to end the connection without one."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def status(code: int, body: bytes = b"", *headers: bytes) -> bytes:
    """A whole answer."""
    lines = [b"HTTP/1.1 %d Any" % code, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Sink:
    """Answers 200, or as `reply` says."""

    port: int = 0
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    reply: Reply | None = None
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    names: list[str | None] = field(default_factory=list)
    """What each TLS client asked for."""

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def wait(self, count: int, path: str | None = None, patience: float = 20) -> list[Received]:
        """The requests (to a path), once there are so many."""
        async with asyncio.timeout(patience):
            while len(found := [each for each in self.received if path in (None, each.path)]) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Received(head[0].split(" ")[1], headers, body)
                self.received.append(request)
                self.arrived.set()
                answer = OK if self.reply is None else await self.reply(request)
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()
        self.open.discard(writer)


@asynccontextmanager
async def sink(folder: Path | None = None, name: str = "hooks.test") -> AsyncIterator[Sink]:
    """A sink on a free port; with a folder over TLS, under a certificate of `name`, which it leaves there."""
    made, context = Sink(), None
    if folder is not None:
        made.scheme, context = "https", _context(folder, name)
        context.sni_callback = lambda _socket, asked, _context: made.names.append(asked)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for writer in made.open:
            writer.transport.abort()


def _context(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context; its certificate is in `folder`/authority.pem, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "authority.pem").write_bytes(authority)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
