"""Child processes in which programs are parsed and run: each job alone, with limits of time and memory.

A child that crashes, runs out of memory, runs out of time or is cancelled is killed alone, and its job fails with a
clear error; a fresh one is forked from the zygote in milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final, TypeVar, overload

import msgspec

from mesh.errors import InvalidArgument, ResourceExhausted, Unavailable
from mesh.telemetry import log
from services.execution import task

START_SECONDS: Final = 60.0
"""How long a zygote may take to import the engines, on a cold disk."""

RESTART_SECONDS: Final = 0.2
"""Before a zygote that died is started again."""

_ANSWERS: Final = {task.Describe: task.Description, task.Run: task.Outcome}

OnProgress = Callable[[float, str], None]
R = TypeVar("R")


class EngineFault(Exception):
    """The child ended without an answer, or answered nonsense: the engine crashed, often for memory. Another may do."""


class Children:
    """A fixed number of warm children; a call waits for a free one, in the order of arrival."""

    def __init__(self, count: int, *, memory_bytes: int, engines: bool = True) -> None:
        """Plan `count` children with at most `memory_bytes` of address space each; `start` makes them.

        Without `engines` they are warm for describing programs alone, and start in half the time.
        """
        self._count = count
        self._memory_bytes = memory_bytes
        self._engines = engines
        self._idle: asyncio.Queue[_Child] = asyncio.Queue()
        self._zygote: _Zygote | None = None
        self._replacing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._closing = False
        # Each busy child keeps a thread in a blocking read; one more is for forks.
        self._threads = ThreadPoolExecutor(count + 1, "engine-child")

    @property
    def count(self) -> int:
        """How many calls run at a time."""
        return self._count

    async def start(self) -> None:
        """Start the zygote and fork the children; raises Unavailable where the engines cannot be imported."""
        for _ in range(self._count):
            self._idle.put_nowait(await self._fork())

    @overload
    async def call(self, request: task.Describe, *, timeout: float) -> task.Description: ...

    @overload
    async def call(
        self, request: task.Run, *, timeout: float, on_progress: OnProgress | None = None
    ) -> task.Outcome: ...

    async def call(
        self, request: task.Request, *, timeout: float, on_progress: OnProgress | None = None
    ) -> task.Answer:
        """The answer to a request, in at most `timeout` seconds of running.

        Raises InvalidArgument for a fault of the program, ResourceExhausted when the time is up, and EngineFault when
        the child died. Cancelling the call kills the child.
        """
        child = await self._take()
        healthy = False
        try:
            async with asyncio.timeout(timeout):
                answer = await self._ask(child, request, on_progress)
            healthy = True
        except TimeoutError:
            message = f"the program ran longer than its limit of {timeout:.0f} s; use fewer shots, qubits or iterations"
            raise ResourceExhausted(message, reason="TIME_LIMIT") from None
        except (EOFError, OSError) as error:
            message = "the engine ended without an answer, most likely for lack of memory"
            raise EngineFault(message) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise EngineFault("the engine gave no valid answer") from error
        finally:
            if healthy:
                self._idle.put_nowait(child)
            else:
                self._discard(child)
        if isinstance(answer, task.Failure):
            raise InvalidArgument(answer.message, reason=answer.reason, field=answer.field)
        return answer

    async def close(self) -> None:
        """Kill the zygote, and with it every child."""
        self._closing = True
        for replacing in self._replacing:
            replacing.cancel()
        await self._end_zygote()
        self._threads.shutdown(wait=False)

    async def _take(self) -> _Child:
        """A free child that lives; one that died while it was idle is replaced."""
        while not (child := await self._idle.get()).alive:
            self._discard(child)
        return child

    async def _ask(self, child: _Child, request: task.Request, on_progress: OnProgress | None) -> task.Answer:
        message = task.decode(await self._in_thread(lambda: child.exchange(task.encode(request))))
        while isinstance(message, task.Progress):
            if on_progress is not None:
                on_progress(message.fraction, message.message)
            message = task.decode(await self._in_thread(child.receive))
        if not isinstance(message, (_ANSWERS[type(request)], task.Failure)):
            raise msgspec.ValidationError(f"{type(message).__name__} answers no {type(request).__name__}")
        return message

    def _discard(self, child: _Child) -> None:
        child.kill()
        if not self._closing:
            replacing = asyncio.create_task(self._replace())
            self._replacing.add(replacing)
            replacing.add_done_callback(self._replacing.discard)

    async def _replace(self) -> None:
        """Fork a child in place of one that is gone, however long it takes."""
        async with self._one_at_a_time:
            while True:
                try:
                    return self._idle.put_nowait(await self._fork())
                except Unavailable as error:
                    log.warning("engine_restarts", reason=error.message)
                await asyncio.sleep(RESTART_SECONDS)

    async def _fork(self) -> _Child:
        """A fresh child, of a fresh zygote where there is none; raises Unavailable."""
        ours, theirs = socket.socketpair()
        connection = Connection(ours.detach())
        try:
            with theirs:
                if self._zygote is None:
                    self._zygote = await asyncio.to_thread(_Zygote, self._memory_bytes, engines=self._engines)
                self._zygote.fork(theirs)
            async with asyncio.timeout(START_SECONDS):
                ready = task.decode_ready(await self._in_thread(connection.recv_bytes))
            return _Child(connection, ready.pid)
        except (TimeoutError, EOFError, OSError, msgspec.DecodeError) as error:
            _hang_up(connection)
            if isinstance(error, TimeoutError) or self._zygote is None or not self._zygote.alive:
                await self._end_zygote()
            message = "the engine process does not start; its log says why"
            raise Unavailable(message, reason="ENGINE_UNAVAILABLE") from error

    async def _end_zygote(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await asyncio.to_thread(zygote.kill)

    def _in_thread(self, work: Callable[[], R]) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Zygote:
    """The zygote process and our end of its control socket."""

    def __init__(self, memory_bytes: int, *, engines: bool) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        environment = {
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR")
                if name in os.environ
            },
            # One thread for each job: on busy cores the engines' default threads cost ten times what they bring.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "RAYON_NUM_THREADS": "1",
            "QISKIT_PARALLEL": "FALSE",
        }
        arguments = [str(theirs.fileno()), str(os.getpid()), str(memory_bytes), "engines" if engines else "parsers"]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "services.execution.zygote", *arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def fork(self, task_socket: socket.socket) -> None:
        """Have a child forked that serves `task_socket`."""
        socket.send_fds(self._control, [b"f"], [task_socket.fileno()])

    def kill(self) -> None:
        """End it and its children."""
        self._process.kill()
        self._process.wait()
        self._control.close()


class _Child:
    """One child and our end of its task socket."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._pidfd = os.pidfd_open(pid)
        self._ended = select.poll()
        self._ended.register(self._pidfd, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._ended.poll(0)

    def exchange(self, message: bytes) -> bytes:
        """Send a message and receive the next; blocks, and a child that does not read blocks the sending too."""
        self._connection.send_bytes(message)
        return self.receive()

    def receive(self) -> bytes:
        """The next message; blocks. Raises EOFError at the end, and OSError for more than task.LARGEST_ANSWER bytes."""
        return self._connection.recv_bytes(task.LARGEST_ANSWER)

    def kill(self) -> None:
        """End it; a thread that waits for it is told."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        _hang_up(self._connection)


def _hang_up(connection: Connection) -> None:
    """End the stream, and with it the read of a thread.

    The descriptor closes when that thread, too, has let go of the connection: closed under it, its number could already
    be another child's, whose bytes it would read.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as stream:
        stream.shutdown(socket.SHUT_RDWR)
