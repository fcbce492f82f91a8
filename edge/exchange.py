"""One HTTP exchange as a handler sees it: a typed request, and an answer that is bytes or a stream of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from qm.type.v1.requester_pb2 import Requester

from edge.faults import NO_FAULTS, Faults
from edge.values import encode

B = TypeVar("B")
Q = TypeVar("Q")
Header = tuple[bytes, bytes]
JSON = b"application/json"


@dataclass(slots=True, kw_only=True)
class Request(Generic[B, Q]):
    """What was asked, after authentication and validation."""

    id: str
    """The request id."""
    path: Mapping[str, str]
    """The path's parameters, percent-decoded."""
    query: Q
    body: B
    parsed_body: Any
    """The body as it was before it became a `B`: what a fingerprint is made of. A document is its bytes."""
    headers: Mapping[bytes, bytes]
    """By lower-case name; the first of several."""
    requester: Requester
    """Who asks; empty for an operation that is open to all."""
    disconnected: Callable[[], Coroutine[Any, Any, None]]
    """Returns when the client has gone away."""
    faults: Faults = NO_FAULTS
    """What a test key wants to go wrong."""
    draining: asyncio.Event
    """Is set when this process stops: whoever waits should answer now."""


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    media_type: bytes = JSON
    headers: list[Header] = field(default_factory=list)


def json_answer(value: object, *, status: int = 200, headers: list[Header] | None = None) -> Answer:
    """A value as JSON, not to be kept by caches."""
    return Answer(status, encode(value), JSON, [NO_STORE, *(headers or ())])


REPLAYED: Header = (b"idempotency-replayed", b"true")
NO_STORE: Header = (b"cache-control", b"no-store")
REVALIDATE: Header = (b"cache-control", b"private, no-cache")


def prefers(accept: bytes, media_type: bytes) -> bool:
    """Whether an `Accept` header names `media_type`, and not JSON, which every answer has otherwise."""
    ranges = [part.split(b";")[0].strip().lower() for part in accept.split(b",")]
    return media_type in ranges and JSON not in ranges


def etag_matches(sent: bytes | None, etag: bytes) -> bool:
    """Whether an `If-None-Match` header names `etag` (RFC 9110, 13.1.2: weak comparison)."""
    if sent is None:
        return False
    if sent == etag:
        return True
    candidates = [candidate.strip().removeprefix(b"W/") for candidate in sent.split(b",")]
    return etag in candidates or candidates == [b"*"]
