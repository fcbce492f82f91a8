"""Dialects: one published REST API each, in words of their own, over the same mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.errors import Refusal
from edge.operations import Operation


@dataclass(frozen=True)
class Dialect:
    """What the edge must know of one published API."""

    operations: list[Operation]
    error_body: Callable[[Refusal, str], bytes]
    """The body of a refusal, with the request id."""
