"""One supervised child process: started, watched, restarted with back-off, stopped without leftovers.

A child leads its own session, so that Ctrl-C on the terminal reaches the supervisor alone and a stop reaches the whole
group. It asks the kernel for a signal when the supervisor dies (PR_SET_PDEATHSIG), which holds even for kill -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

FIRST_DELAY = 0.1  # seconds before the first restart; doubles with each crash
LONGEST_DELAY = 5.0
STEADY = 10.0  # seconds of life after which a crash counts as the first again
_FIRST_PAUSE = 0.01  # seconds between two questions whether it is ready; they cost what the start could use
_LONGEST_PAUSE = 0.1
_CRASHES_AT_START = 3  # a start that fails three times will fail again
_LOG_LIMIT = 20 * 1024 * 1024  # bytes; a longer log is set aside at the next start
_CANNOT_RUN = 127  # the shell's status for a program that could not be run
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class User:
    """The operating-system user that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run, and how it is told to end."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL


class Running(Protocol):
    """A process that was started, as asyncio's own are."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    async def wait(self) -> int:
        """Its exit status, once it has ended."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""


class Child:
    """A process that is kept alive until `stop`."""

    def __init__(
        self,
        command: Command,
        is_ready: Callable[[], Awaitable[bool]],
        *,
        on_crash: Callable[[str, int, float], None],
        before_start: Callable[[], Awaitable[None]] | None = None,
        spawn: Callable[[Command], Awaitable[Running]] | None = None,
    ) -> None:
        """Prepare a child; `on_crash` hears (name, exit status, seconds to the next start).

        `spawn` starts it, by default as a program of its own.
        """
        self.command = command
        self._is_ready = is_ready
        self._on_crash = on_crash
        self._before_start = before_start
        self._spawn = spawn or _start_program
        self._process: Running | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._crashes = 0
        self._condemned: int | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    def start(self) -> None:
        """Begin to keep the process alive."""
        self._stopping = False
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.command.name}")

    async def ready(self, patience: float) -> None:
        """Return when the process runs and answers; raise ChildError when it keeps crashing or takes too long."""
        crashes, pause = self._crashes, _FIRST_PAUSE
        end = asyncio.get_running_loop().time() + patience
        while not (self.pid not in (None, self._condemned) and await self._is_ready()):
            if self._keeper is not None and self._keeper.done():
                error = None if self._keeper.cancelled() else self._keeper.exception()
                raise ChildError(self.command, f"cannot be started: {error}" if error else "was stopped") from error
            if self._crashes - crashes >= _CRASHES_AT_START:
                raise ChildError(self.command, f"ended {_CRASHES_AT_START} times while it started")
            if asyncio.get_running_loop().time() > end:
                raise ChildError(self.command, f"was not ready within {patience:.0f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the process alone, as a fault would; answers its id. It is restarted when it ends."""
        pid = self.pid
        if pid is None:
            message = f"{self.command.name} does not run"
            raise ProcessLookupError(message)
        os.kill(pid, number)
        if number == signal.SIGKILL:
            self._condemned = pid  # whoever waits for `ready` waits for its successor
        return pid

    async def stop(self) -> None:
        """End the process and its group: asked first, killed when its patience is over."""
        self._stopping = True
        process, keeper = self._process, self._keeper
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.command.stop_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.command.stop_patience):
                    await process.wait()
            _kill_group(process.pid)
            await process.wait()
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    def kill_group(self) -> None:
        """End the process and its group at once, without asking."""
        self._stopping = True
        if self.pid is not None:
            _kill_group(self.pid)

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping:
            born = asyncio.get_running_loop().time()
            try:
                status = await self._live()
            except OSError:
                if self._process is None:  # it never ran, and never will
                    raise
                status = _CANNOT_RUN  # it did run: the machine is short of something for the moment
            if self._stopping:
                return
            if asyncio.get_running_loop().time() - born > STEADY:
                delay = FIRST_DELAY
            self._crashes += 1
            pause = delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads restarts, guards nothing
            self._on_crash(self.command.name, status, pause)
            await asyncio.sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _live(self) -> int:
        """Run the process once, from before its start to its end; answers its status."""
        if self._before_start is not None:
            await self._before_start()
        _set_aside(self.command.log)
        self._process = await self._spawn(self.command)
        status = await self._process.wait()
        _kill_group(self._process.pid)
        return status


class ChildError(Exception):
    """A child could not be brought up; the message ends with the last lines of its log."""

    def __init__(self, command: Command, problem: str) -> None:
        """Describe the problem."""
        self.command = command
        tail = last_lines(command.log, 12)
        super().__init__(f"{command.name} {problem}; its log is {command.log}" + (f":\n{tail}" if tail else ""))


async def _start_program(command: Command) -> Running:
    with command.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=command.folder,
            env={**os.environ, **command.environment},
            preexec_fn=child_setup(command.user, command.death_signal),
        )


def last_lines(file: Path, count: int) -> str:
    """The last lines of a text file, empty where there is none."""
    if not file.exists():
        return ""
    lines = file.read_text(errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line}" for line in lines)


def child_setup(user: User | None, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec. A change of user clears the death signal, so that comes last."""
    parent = os.getpid()

    def setup() -> None:
        os.setsid()
        if user is not None:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # the supervisor died before the kernel knew
            os._exit(1)

    return setup


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _set_aside(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".previous.log"))
