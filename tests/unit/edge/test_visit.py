"""What is known of a request before anybody has looked at it."""

from __future__ import annotations

import pytest

from edge.visit import Visit

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


def test_a_clients_trace_is_continued() -> None:
    sent = b"-".join((b"00", TRACE, PARENT, b"01"))
    assert Visit({b"traceparent": sent}).traceparent == sent.decode()
    assert Visit({}).traceparent == ""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"00",
        TRACE,
        b"-".join((b"00", TRACE.upper(), PARENT, b"01")),
        b"-".join((b"00", TRACE[:-1], PARENT, b"01")),
        b"-".join((b"00", TRACE, PARENT, b"01", b"more")),
        b"-".join((b"ff", TRACE, PARENT, b"01")),
        b"-".join((b"00", b"0" * 32, PARENT, b"01")),
        b"-".join((b"00", TRACE, b"0" * 16, b"01")),
        b"-".join((b"00", TRACE, PARENT, b"01")) + b"\n",
        b"-".join((b"00", TRACE, PARENT, b"\xff\xfe")),
    ],
)
def test_what_is_no_trace_context_is_ignored(sent: bytes) -> None:
    assert Visit({b"traceparent": sent}).traceparent == ""
