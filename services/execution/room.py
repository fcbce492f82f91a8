"""Memory for runs beside each other: one that does not fit now waits, one that never fits is refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.errors import ResourceExhausted
from mesh.wording import bytes_text


class Room:
    """So many bytes; whoever came first goes first, so that many small runs keep no large one waiting for ever."""

    def __init__(self, total_bytes: int) -> None:
        """Begin with all of it free."""
        self._total = total_bytes
        self._free = total_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def total(self) -> int:
        """The bytes, free or not."""
        return self._total

    @asynccontextmanager
    async def taken(self, count: int) -> AsyncIterator[None]:
        """Have `count` bytes within the block; raises ResourceExhausted where there are not so many at all."""
        if not count:
            yield
            return
        if count > self._total:
            message = (
                f"the program may need {bytes_text(count)} of memory, and the worker has {bytes_text(self._total)}"
            )
            raise ResourceExhausted(f"{message} for all jobs; use fewer qubits", reason="MEMORY_LIMIT")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        self._hand_out()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += count
            else:
                self._waiting.remove((count, turn))
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            count, turn = self._waiting.popleft()
            self._free -= count
            turn.set_result(None)
