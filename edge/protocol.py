"""HTTP/1.1 as uvicorn speaks it, with bounds for the head of a request and with our own answer to what is no HTTP.

uvicorn waits for a head for ever and takes one of any size, and answers what it cannot parse in plain text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from edge.errors import Refusal

HEAD_SECONDS = 10.0
"""How long a request line and its headers may take, and a body whose request was answered already."""
MAX_HEAD_BYTES = 64 * 1024
"""Of a request line, headers, trailers and the framing of chunks, beyond what one read of the socket brings. Small
chunks may have as much framing as they carry."""

_BROKEN = Refusal(400, "This is not a valid HTTP/1.1 request.", reason="MALFORMED_REQUEST")
_LARGE = Refusal(431, f"The headers are larger than {MAX_HEAD_BYTES} bytes.", reason="HEAD_TOO_LARGE")

DROP = "qmumma.drop"
"""In a scope: ends the connection without an answer."""

Render = Callable[[Refusal], bytes]
"""A whole HTTP answer that refuses a request which could not be read."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, render: Render, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Serve as uvicorn does; `render` words refusals."""
        super().__init__(*arguments, **named)
        self._render = render
        self._in_head = True
        self._body_bytes = 0
        self._other_bytes = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._unanswered: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the alarm."""
        self._stop_alarm()
        self._give_up()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Answer no more: the connection is closed in both directions, and uvicorn would write into what is closed."""
        self._give_up()

    def data_received(self, data: bytes) -> None:
        """Parse what came; close where more than a body's worth comes beside a body."""
        self._other_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._other_bytes > MAX_HEAD_BYTES + self._body_bytes:
            self._refuse(_LARGE)
        elif self._alarm is None and not self._answering():
            self._set_alarm()

    def on_message_begin(self) -> None:
        """Count from here, without what the same read brought."""
        self._in_head = True
        self._body_bytes = self._other_bytes = 0
        super().on_message_begin()
        self.scope[DROP] = self._drop  # type: ignore[literal-required] # a key of ours

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what follows a chunked body is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._in_head = False
        self._stop_alarm()
        super().on_headers_complete()
        self._unanswered = [each for each in self._unanswered if not each.response_complete]
        self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose size is bounded where it is read."""
        self._body_bytes += len(body)
        self._other_bytes = max(0, self._other_bytes - len(body))
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Refuse what is no HTTP."""
        self._refuse(_BROKEN)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        # Bytes of ours would spoil an answer that has begun, or be taken for that of an earlier request.
        cycle = self.cycle
        unheard = cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline
        if unheard or not self._answering():
            self.transport.write(self._render(refusal))
        self._give_up()
        self.transport.close()

    def _drop(self) -> None:
        """End the connection; uvicorn adds no answer of its own."""
        self._give_up()
        self.transport.abort()

    def _give_up(self) -> None:
        """Tell every request that its client is gone; of several that came at once uvicorn tells the last alone."""
        for cycle in self._unanswered:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()

    def _set_alarm(self) -> None:
        self._alarm = self.loop.call_later(HEAD_SECONDS, self._rang)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _rang(self) -> None:
        self._alarm = None
        if not self._answering():
            self.transport.close()
