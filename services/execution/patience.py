"""Waiting for other services: for one that is down, and for two at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from mesh.errors import DeadlineExceeded, Unavailable

PATIENCE_SECONDS = 60.0
"""How long a worker waits for a service that is down before it gives the job back to the queue."""

R = TypeVar("R")
S = TypeVar("S")


async def both(first: Coroutine[Any, Any, R], second: Coroutine[Any, Any, S]) -> tuple[R, S]:
    """What two answer that go at once; where the first fails, the second is given up."""
    beside = asyncio.create_task(second)
    try:
        return await first, await beside
    finally:
        beside.cancel()


async def patiently(call: Callable[[], Awaitable[R]]) -> R:
    """The answer of `call`, tried again while a service is down, for up to PATIENCE_SECONDS; then its last error."""
    give_up = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return await call()
        except (Unavailable, DeadlineExceeded):
            if asyncio.get_running_loop().time() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(2.0, pause * 2)
