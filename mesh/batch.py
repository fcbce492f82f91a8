"""Batching by "flush while busy": what arrives during one flush goes into the next.

There is no timer and no target size: an idle batcher flushes a lone item at once, a busy one forms batches as large as
the load asks for. It turns one commit, publish or call per item into one per round trip.

    batcher = Batcher(insert_many, max_size=256)
    row = await batcher.add(item)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mesh.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Collects items and hands them to `flush` in the order they came, one batch at a time.

    `flush` answers with one result for each item, in order; an Exception in place of a result is raised to that item's
    caller alone. An exception that `flush` itself raises is raised to every caller of the batch.
    """

    def __init__(self, flush: Callable[[list[T]], Awaitable[list[R | Exception]]], *, max_size: int = 256) -> None:
        """Make a batcher; `max_size` (at least 1) bounds one batch, not the queue."""
        if max_size < 1:
            message = "max_size must be at least 1"
            raise ValueError(message)
        self._flush = flush
        self._max_size = max_size
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def add(self, item: T) -> R:
        """The result of `item`, once its batch is flushed.

        A caller that is cancelled while its item still waits takes the item back; once the flush has begun, the flush
        goes on for the others. Raises Unavailable after `close`.
        """
        if self._closed:
            message = "This service is stopping; try again."
            raise Unavailable(message, reason="SHUTTING_DOWN")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Refuse new items and wait until everything that was added is flushed."""
        self._closed = True
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._settle(batch)
        finally:
            self._worker = None
            # Only a cancelled worker (its event loop is going away) leaves something behind.
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_size:
            item, future = self._waiting.popleft()
            if not future.done():
                batch.append((item, future))
        return batch

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = _as_many(await self._flush([item for item, _ in batch]), len(batch))
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every waiter has to hear of it
            for _, future in batch:
                _fail(future, error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                _fail(future, result)
            elif not future.done():
                future.set_result(result)


def _as_many(results: list[R | Exception], count: int) -> list[R | Exception]:
    if len(results) != count:
        message = f"flush answered {len(results)} results for {count} items"
        raise RuntimeError(message)
    return results


def _fail(future: asyncio.Future[R], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
