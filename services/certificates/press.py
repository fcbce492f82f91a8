"""The way to the press: one child process, made when the first document is wanted and ended when none was for a while.

A document takes a tenth of a second of CPU in code that holds the interpreter: it never runs in this process. A child
that dies or hangs costs its own document one more try, and whoever waits a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import msgspec
import structlog

from mesh.errors import Internal, ResourceExhausted, Unavailable
from services.certificates.printing import LENGTH, Order, Printed

IDLE_SECONDS = 300.0
MOST_WAITING = 32
_TRIES = 2

log = structlog.get_logger()


class PressClient:
    """Prints documents in a child process, one after the other."""

    def __init__(self, seconds: float) -> None:
        """Wait at most `seconds` for a document, from when its turn has come."""
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._child: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def print(self, order: Order) -> bytes:
        """The sealed document.

        Raises ResourceExhausted (PRESS_BUSY) where too many wait, Unavailable (PRESS_FAILED) where the child died or
        hung twice, Internal where it says that this document cannot be made.
        """
        if self._waiting >= MOST_WAITING:
            raise ResourceExhausted("Too many certificates are being made; try again in a moment.", reason="PRESS_BUSY")
        # A caller that goes away leaves the child its work: to end it would cost the next one a new start.
        task = asyncio.create_task(self._in_turn(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the child, and whatever it was doing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._idle is not None:
            self._idle.cancel()
        await self._end()

    async def _in_turn(self, order: Order) -> bytes:
        self._waiting += 1
        try:
            async with self._turn:
                return await self._print(order)
        finally:
            self._waiting -= 1

    async def _print(self, order: Order) -> bytes:
        message = msgspec.msgpack.encode(order)
        for _ in range(_TRIES):
            try:
                async with asyncio.timeout(self._seconds):
                    printed = await self._ask(message)
            except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
                log.warning("press_failed", error=type(error).__name__)
                await self._end()
            else:
                if printed.fault:
                    log.error("not_printed", fault=printed.fault)
                    raise Internal("The certificate cannot be made; tell us the request id.", reason="NOT_PRINTED")
                self._rest()
                return printed.pdf
        raise Unavailable("The certificate could not be made in time; try again.", reason="PRESS_FAILED")

    async def _ask(self, message: bytes) -> Printed:
        child = await self._running()
        if child.stdin is None or child.stdout is None:
            raise BrokenPipeError
        child.stdin.write(LENGTH.pack(len(message)) + message)
        await child.stdin.drain()
        (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        return msgspec.msgpack.decode(await child.stdout.readexactly(length), type=Printed)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.certificates.printing",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._child

    def _rest(self) -> None:
        """End the child once it has had nothing to do for a while."""
        loop = asyncio.get_running_loop()
        if self._idle is not None:
            self._idle.cancel()

        def end() -> None:
            if not self._turn.locked():
                child, self._child = self._child, None
                if child is not None and child.stdin is not None:
                    child.stdin.close()  # it reads the end, and goes

        self._idle = loop.call_later(IDLE_SECONDS, end)

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
