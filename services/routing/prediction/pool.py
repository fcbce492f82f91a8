"""The child processes that fit circuits, so that the event loop never waits for a transpiler."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from services.routing.prediction.profile import Profile, UnfitError
from services.routing.prediction.task import HEAD, THREADS, Answer, Find, Finding, Unfit

LONGEST_SECONDS = 60.0
"""A circuit that takes longer than this to fit to one machine is given up."""
_START_SECONDS = 60.0
"""How long a child may take to import the transpiler, on a cold disk."""
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR")


class OverdueError(Exception):
    """The circuit took too long to fit; it would again."""


class LostError(Exception):
    """The child died, or did not start; another takes its place, and may be asked again."""


class Pool:
    """Some children, each started when it is first needed. One that dies is replaced, and so is one that takes long."""

    def __init__(self, folder: Path, *, children: int, longest: float = LONGEST_SECONDS) -> None:
        """Fit to the calibrations of `folder`, to none for more than `longest` seconds."""
        self._folder = folder
        self._longest = longest
        # The one used last is warmest; None is a place for one that is to be started.
        self._idle: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        for _ in range(children):
            self._idle.put_nowait(None)
        self._living: set[_Child] = set()

    async def find(self, calibration_id: str, encoded: bytes, profile: Profile | None) -> Finding:
        """What a free child finds out (see `task.find`). Raises UnfitError, OverdueError and LostError."""
        request = msgspec.msgpack.encode(Find(calibration_id, encoded, profile))
        child = await self._idle.get()
        healthy = False
        try:
            if child is not None and not child.alive:
                self._living.discard(child)
                child = None
            if child is None:
                child = await self._start()
            async with asyncio.timeout(self._longest):
                answer: Answer = msgspec.msgpack.decode(await child.ask(request), type=Answer)
            healthy = True
        except TimeoutError as error:
            raise OverdueError(f"not fitted to {calibration_id} in {self._longest:g} s") from error
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise LostError(f"the child gave no answer: {error}") from error
        finally:
            if child is not None and not healthy:
                self._living.discard(child)
                child.kill()
            self._idle.put_nowait(child if healthy else None)
        if isinstance(answer, Unfit):
            raise UnfitError(answer.reason)
        return answer

    async def close(self) -> None:
        """Kill the children, whatever they do."""
        living, self._living = self._living, set()
        for child in living:
            child.kill()
            await child.end()

    async def _start(self) -> _Child:
        """A child that is ready; raises LostError."""
        variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        child = _Child(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.routing.prediction.task", str(self._folder), str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=variables | dict.fromkeys(THREADS, "1") | {"QISKIT_PARALLEL": "FALSE"},
            )
        )
        self._living.add(child)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child.receive()
        except (TimeoutError, EOFError, OSError) as error:
            self._living.discard(child)
            child.kill()
            raise LostError("the child does not start; its log says why") from error
        return child


class _Child:
    """One child and its pipes, which carry messages after their length."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child needs both pipes")
        self._process, self._to, self._from = process, process.stdin, process.stdout

    @property
    def alive(self) -> bool:
        """Whether it still runs: asked of the kernel, for the loop hears of an end only later."""
        try:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return ended is None and not self._to.is_closing()

    async def ask(self, request: bytes) -> bytes:
        """The answer to a request. Raises OSError and EOFError."""
        if not self.alive:
            raise EOFError("it has ended")
        self._to.write(HEAD.pack(len(request)) + request)
        await self._to.drain()
        return await self.receive()

    async def receive(self) -> bytes:
        """The next message."""
        (size,) = HEAD.unpack(await self._from.readexactly(HEAD.size))
        return await self._from.readexactly(size)

    async def end(self) -> None:
        """Wait until it has ended."""
        await self._process.wait()

    def kill(self) -> None:
        """Have it ended at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
