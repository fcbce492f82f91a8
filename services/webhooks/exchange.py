"""One connection to an endpoint: HTTP/1.1 on asyncio and llhttp, everything bounded.

A tenth of the CPU of a general client, for what is needed: POST a short body, read a status and the beginning of what
comes with it. No redirect is followed, no proxy asked, no cookie kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import httptools

KEPT_BYTES = 1024
"""Of an answer's body that are kept for the log."""
MOST_BODY_BYTES = 16 * 1024
"""Of an answer's body that are read; what is longer costs its sender the connection."""
MOST_HEAD_BYTES = 32 * 1024
_FIRST_FINAL = 200
_SWITCHING = 101


class ExchangeFailed(Exception):
    """There was no answer."""


class ConnectionStale(ExchangeFailed):
    """A connection that was used before ended without a byte of an answer: another one may work."""


class Malformed(ExchangeFailed):
    """What came is no HTTP, or more than is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said."""

    status: int
    body: bytes
    """The first `KEPT_BYTES` of it."""


class EndpointConnection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        """Wait for `connection_made`."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._exchanges = 0
        self._reset()

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow."""
        return self._reusable and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Answer:
        """Send a whole request and read its answer; raises ExchangeFailed. Whoever stops waiting closes."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionStale
        self._reset()
        self._exchanges += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """Parse what came; what comes when nothing was asked ends the connection."""
        if self._answer is None or self._answer.done():
            self.close()
            return
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Malformed())
        if not self._final and self._bytes > MOST_HEAD_BYTES:
            self._fail(Malformed())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end for the end of the answer, where one has begun."""
        self._reusable = False
        if self._final:
            self._settle()
        elif self._bytes or self._exchanges < 2:  # noqa: PLR2004 - the first exchange has nothing stale about it
            self._fail(ExchangeFailed(type(exc).__name__))
        else:
            self._fail(ConnectionStale())

    def on_headers_complete(self) -> None:
        """Know the status; 101 is no answer to what was asked."""
        self._status = self._parser.get_status_code()
        if self._status == _SWITCHING:
            self._fail(Malformed())
        self._final = self._status >= _FIRST_FINAL

    def on_body(self, body: bytes) -> None:
        """Keep the beginning; stop reading where it is too long."""
        self._body_bytes += len(body)
        if len(self._body) < KEPT_BYTES:
            self._body += body[: KEPT_BYTES - len(self._body)]
        if self._body_bytes > MOST_BODY_BYTES:
            self._settle()
            self.close()

    def on_message_complete(self) -> None:
        """Answer; an interim response is only passed over."""
        if self._final:
            self._reusable = self._parser.should_keep_alive()
            self._settle()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._reusable = self._final = False
        self._status = self._bytes = self._body_bytes = 0
        self._body = b""

    def _settle(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._status, self._body))

    def _fail(self, error: ExchangeFailed) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()
