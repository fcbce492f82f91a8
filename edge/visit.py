"""One request on its way through the edge: what is known of it so far."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from edge import request_ids
from edge.exchange import Header
from edge.limits import Verdict

_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Visit:
    """What is known so far of one request."""

    headers: dict[bytes, bytes]
    """By lower-case name; the first of several."""
    request_id: str = ""
    started: float = field(default_factory=time.perf_counter)
    operation: str = "unknown"
    team: str = ""
    limit_headers: list[Header] = field(default_factory=list)
    verdict: Verdict | None = None
    lost: bool = False
    """Whether the answer is to be lost, as a test key wished."""

    def __post_init__(self) -> None:
        """Take the client's id of the request, or make one."""
        self.request_id = request_ids.request_id(self.headers.get(request_ids.HEADER))

    @property
    def traceparent(self) -> str:
        """The client's trace context (W3C), where it sent a valid one."""
        sent = self.headers.get(b"traceparent")
        return sent.decode("ascii") if sent is not None and _TRACEPARENT.fullmatch(sent) else ""

    @property
    def milliseconds(self) -> float:
        """How long it has taken so far."""
        return round((time.perf_counter() - self.started) * 1000, 2)
