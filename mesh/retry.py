"""Patience with a dependency that is still starting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mesh.errors import Unavailable

T = TypeVar("T")
PAUSE = 0.1  # seconds between two attempts


async def retry_while_unavailable(attempt: Callable[[], Awaitable[T]], patience: float) -> T:
    """Repeat `attempt` while it raises Unavailable, for at most `patience` seconds; then raise that."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        try:
            return await attempt()
        except Unavailable:
            if loop.time() + PAUSE > end:
                raise
        await asyncio.sleep(PAUSE)
