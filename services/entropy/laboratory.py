"""Tests in a child process, one after the other.

It is started when there is something to test, and ends when there has been nothing for a while: idle it would take more
memory than the whole service.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any, cast

import msgspec

from mesh.errors import Unavailable
from services.entropy.examiner import FRAME, Assess, Suite, Task

MOST_SECONDS = 120.0
"""For one task; it takes two at most, and ten more the first time on a machine, while numba compiles."""


class Laboratory:
    """One child, or none."""

    def __init__(self, *, idle_seconds: float, niceness: int = 0) -> None:
        """End a child after `idle_seconds` without work."""
        self._idle_seconds = idle_seconds
        self._niceness = niceness
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._rest: asyncio.TimerHandle | None = None

    async def run_suite(self, data: bytes | bytearray, bit_count: int) -> dict[str, Any]:
        """What SP 800-22 says of the first `bit_count` bits: `passed`, `tests` and more. Raises Unavailable."""
        return await self._examine(Suite(bit_count), data)

    async def assess(self, data: bytes, claimed_min_entropy: float) -> dict[str, Any]:
        """What the health tests and SP 800-90B say of raw bits: `failure`, `health`, `estimates`, `min_entropy`."""
        return await self._examine(Assess(8 * len(data), claimed_min_entropy), data)

    async def close(self) -> None:
        """End the child."""
        if self._rest is not None:
            self._rest.cancel()
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _examine(self, task: Task, data: bytes | bytearray) -> dict[str, Any]:
        async with self._turn:
            if self._rest is not None:
                self._rest.cancel()
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    return await self._ask(task, data)
            except (OSError, EOFError, TimeoutError) as error:
                await self.close()
                message = "The process that tests random bits has ended; try again."
                raise Unavailable(message, reason="EXAMINER_FAILED") from error
            except asyncio.CancelledError:
                await self.close()  # its answer would be taken for the next task's
                raise
            finally:
                self._rest = asyncio.get_running_loop().call_later(self._idle_seconds, self._end)

    async def _ask(self, task: Task, data: bytes | bytearray) -> dict[str, Any]:
        child = await self._started()
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        assert child.stdout is not None  # noqa: S101 - likewise
        head = msgspec.msgpack.encode(task)
        child.stdin.write(FRAME.pack(len(head), len(data)) + head)
        child.stdin.write(data)
        await child.stdin.drain()
        length, _ = FRAME.unpack(await child.stdout.readexactly(FRAME.size))
        return cast("dict[str, Any]", msgspec.msgpack.decode(await child.stdout.readexactly(length)))

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.entropy.examiner",
                str(os.getpid()),
                str(self._niceness),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={
                    **os.environ,
                    "NUMBA_DISABLE_JIT": "0",
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "OMP_NUM_THREADS": "1",
                },
            )
        return self._child

    def _end(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
