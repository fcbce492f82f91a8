"""Following a job until it changes, the client leaves, this process stops, or time runs out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from edge.bodies import Disconnected
from edge.exchange import Request

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2 import Job, WatchJobResponse


R = TypeVar("R")


class WatchEnded(Exception):
    """Nothing more will come: the job has ended, or this process stops."""


class Watch:
    """The states of one job, as they come."""

    def __init__(self, states: AsyncIterator[WatchJobResponse], request: Request[Any, Any]) -> None:
        """Follow `states` on behalf of `request`; `watching` makes one and cleans up."""
        self._states = states
        self._gone = asyncio.create_task(request.disconnected())
        self._draining = asyncio.create_task(request.draining.wait())
        self._next: asyncio.Task[WatchJobResponse | None] | None = None

    async def next(self, seconds: float) -> Job | None:
        """The job's next state, or None when none comes within `seconds`.

        Raises WatchEnded when none will ever come, Disconnected when nobody is there to hear of it, and MeshError.
        """
        self._next = self._next or asyncio.create_task(self._one())
        waiting = (self._next, self._gone, self._draining)
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._next.done():
            response = self._next.result()
            self._next = None
            if response is None:
                raise WatchEnded
            return response.job
        if self._gone.done():
            raise Disconnected
        if self._draining.done():
            raise WatchEnded
        return None

    async def close(self) -> None:
        """Stop following."""
        tasks = [task for task in (self._next, self._gone, self._draining) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self) -> WatchJobResponse | None:
        return await anext(self._states, None)


async def while_heard(answer: Awaitable[R], request: Request[Any, Any]) -> R:
    """The answer, for as long as the client is there; raises Disconnected, and WatchEnded when this process stops."""
    asked = asyncio.ensure_future(answer)
    gone = asyncio.create_task(request.disconnected())
    draining = asyncio.create_task(request.draining.wait())
    try:
        await asyncio.wait((asked, gone, draining), return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return asked.result()
        raise Disconnected if gone.done() else WatchEnded
    finally:
        for task in (asked, gone, draining):
            task.cancel()


@asynccontextmanager
async def watching(states: AsyncIterator[WatchJobResponse], request: Request[Any, Any]) -> AsyncIterator[Watch]:
    """A watch for as long as the block lasts; then the stream behind it is ended too."""
    watch = Watch(states, request)
    try:
        yield watch
    finally:
        await watch.close()
        if isinstance(states, AsyncGenerator):
            await states.aclose()
