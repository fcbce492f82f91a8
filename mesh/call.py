"""The call that is being served: who asks, for which public request, and until when.

It lives in a context variable, so that whatever a handler calls on the way carries the same request id, trace and
deadline without being told.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

REQUEST_ID_KEY = "x-request-id"
TRACEPARENT_KEY = "traceparent"
ADDRESS_KEY = "x-client-address"
ADMITTED_KEY = "x-admitted"
"""In the initial metadata of a call with a stream of requests: the guard has let it in."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, seen from the side that serves it."""

    caller: str
    """The service that asks, from its certificate ("edge")."""
    request_id: str = ""
    """The public request behind it; empty for work that nobody asked for, such as a sweep."""
    deadline: float = float("inf")
    """`time.monotonic()` at which the caller stops waiting."""
    traceparent: str = ""
    """W3C trace context; empty where nothing is traced."""
    address: str = ""
    """The IP address of the client behind that request; empty where there is none. The audit trail keeps it."""

    def remaining(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Call | None] = ContextVar("qmumma_call", default=None)


def current() -> Call | None:
    """The call being served in this task, or None outside of any."""
    return _current.get()


@contextlib.contextmanager
def serving(call: Call) -> Iterator[None]:
    """Make `call` the current one within the block."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)
