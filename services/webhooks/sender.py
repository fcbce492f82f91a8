"""Sends a delivery to where its URL leads, over connections that are kept for a while.

Every new connection goes to an address that was looked at just before, under the name of the URL: the name is what TLS
and `Host` say, and is not asked for a second time. Connections are kept by scheme, host and port, for seconds.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict

from mesh.destination import Destination
from services.webhooks.exchange import Answer, ConnectionStale, EndpointConnection
from services.webhooks.resolver import Resolver

KEPT_SECONDS = 10.0
"""How long a connection waits for its next delivery."""
KEPT_EACH = 256
"""Connections that wait for one server, which may have many endpoints."""
CONNECT_SECONDS = 5.0
"""For one address; a name may have several."""

Headers = list[tuple[bytes, bytes]]
_Key = tuple[bool, str, int]


class ConnectFailed(Exception):
    """None of the addresses took the connection; the word says whether TLS was the cause."""

    def __init__(self, word: str) -> None:
        """Keep the word."""
        super().__init__(word)
        self.word = word


class Sender:
    """A client for webhooks alone."""

    def __init__(self, resolver: Resolver, context: ssl.SSLContext) -> None:
        """Connect to what `resolver` finds; `context` says whose certificates are believed."""
        self._resolver = resolver
        self._context = context
        self._kept: defaultdict[_Key, list[tuple[float, EndpointConnection]]] = defaultdict(list)

    async def post(self, team_id: str, to: Destination, headers: Headers, body: bytes) -> Answer:
        """The answer to one POST; raises ExchangeFailed, ConnectFailed, NameUnknown or AddressRefused."""
        request = _request(to, headers, body)
        key = (to.secure, to.host, to.port)
        while (connection := self._take(key)) is not None:
            try:
                return await self._exchange(key, connection, request)
            except ConnectionStale:
                continue
        return await self._exchange(key, await self._connect(team_id, to), request)

    def close(self, *, older_than: float = float("inf")) -> None:
        """End every connection that waits, or those that wait since before a time of the event loop."""
        for key, kept in list(self._kept.items()):
            for since, connection in kept:
                if since < older_than:
                    connection.close()
            self._kept[key] = [each for each in kept if each[0] >= older_than]
            if not self._kept[key]:
                del self._kept[key]

    def tidy(self) -> None:
        """End what has waited for long enough; to be called now and then."""
        self.close(older_than=asyncio.get_running_loop().time() - KEPT_SECONDS)

    async def _exchange(self, key: _Key, connection: EndpointConnection, request: bytes) -> Answer:
        try:
            return await connection.exchange(request)
        finally:
            if connection.reusable and len(self._kept[key]) < KEPT_EACH:
                self._kept[key].append((asyncio.get_running_loop().time(), connection))
            else:
                connection.close()

    def _take(self, key: _Key) -> EndpointConnection | None:
        while kept := self._kept.get(key):
            _, connection = kept.pop()
            if connection.reusable:
                return connection
        return None

    async def _connect(self, team_id: str, to: Destination) -> EndpointConnection:
        word = "connection_failed"
        for address in await self._resolver.addresses(to.host, team_id):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, connection = await asyncio.get_running_loop().create_connection(
                        EndpointConnection,
                        address,
                        to.port,
                        ssl=self._context if to.secure else None,
                        server_hostname=to.host if to.secure else None,
                    )
                    return connection
            except (ssl.SSLError, ssl.CertificateError):
                word = "tls_failed"
            except (OSError, TimeoutError):
                continue
        raise ConnectFailed(word)


def _request(to: Destination, headers: Headers, body: bytes) -> bytes:
    lines = [
        b"POST %s HTTP/1.1" % to.target.encode("ascii"),
        b"Host: " + to.host_header,
        b"User-Agent: Q-MUMMA-Webhooks/1",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *(name + b": " + value for name, value in headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
