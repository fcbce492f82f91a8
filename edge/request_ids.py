"""The id that a request carries through answers, logs and traces."""

from __future__ import annotations

import re
from collections.abc import Callable

import uuid_utils

HEADER = b"x-request-id"
_VALID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def fresh_id() -> str:
    """A new id, which sorts by time."""
    return f"req_{uuid_utils.uuid7().hex}"


def request_id(sent: bytes | None, *, fresh: Callable[[], str] = fresh_id) -> str:
    """The caller's id where it is 1 to 128 printable ASCII characters, else a new one."""
    if sent is not None and _VALID.fullmatch(sent):
        return sent.decode("ascii")
    return fresh()
