"""How many jobs of which queue a worker works on at once, so that no kind of job holds all of its engines."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from services.execution.job import Queue


class Slots:
    """Places for jobs: one for each engine, and one more while every job is short.

    In that one the next job is claimed while the last one is signed and settled. Long jobs leave `short_count` engines
    to the short ones (but may always have one), and all jobs but those of enterprises leave `enterprise_count`.
    """

    def __init__(self, engine_count: int, *, short_count: int = 0, enterprise_count: int = 0) -> None:
        """Make the places, all free."""
        self._engine_count = engine_count
        self._most_long = max(1, engine_count - short_count)
        self._most_common = max(0, engine_count - enterprise_count)
        self._taken: Counter[Queue] = Counter()
        self._waiting: deque[tuple[Queue, asyncio.Future[None]]] = deque()

    def serves(self, queue: Queue) -> bool:
        """Whether jobs of a queue ever get a place."""
        return queue.enterprise or self._most_common > 0

    def take(self, queue: Queue) -> bool:
        """Take a place for a job of a queue, if there is one now."""
        if not self._has_room(queue):
            return False
        self._taken[queue] += 1
        return True

    def widen(self, queue: Queue, count: int) -> int:
        """Take up to `count` more places for a job that has one and would use several cores; returns how many.

        One engine at least stays free, for whoever comes next, and nobody who waits is passed.
        """
        if self._waiting:
            return 0
        taken = 0
        while taken < count and self._taken.total() < self._engine_count - 1 and self.take(queue):
            taken += 1
        return taken

    async def acquire(self, queue: Queue) -> None:
        """Take a place as soon as there is one, in the order of asking."""
        if self.take(queue):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((queue, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(queue)
            raise
        finally:
            self._waiting = deque(each for each in self._waiting if each[1] is not turn)

    async def room(self, queue: Queue) -> None:
        """Wait until there is a place, and leave it."""
        await self.acquire(queue)
        self.release(queue)

    def release(self, queue: Queue) -> None:
        """Give a place back."""
        self._taken[queue] -= 1
        for waiting, turn in self._waiting:
            if not turn.done() and self.take(waiting):
                turn.set_result(None)

    def _has_room(self, queue: Queue) -> bool:
        taken = self._taken
        long = sum(taken[each] for each in Queue if each.long)
        common = sum(taken[each] for each in Queue if not each.enterprise)
        spare = 0 if long or queue.long else 1
        if taken.total() >= self._engine_count + spare or (queue.long and long >= self._most_long):
            return False
        return queue.enterprise or (self._most_common > 0 and common < self._most_common + spare)
