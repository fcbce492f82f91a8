"""Child processes in which programs are parsed and run: each job alone, with limits of time and memory.

A child that crashes, runs out of memory, runs out of time or is cancelled is killed alone, and its job fails with a
clear error; a fresh one is forked from the zygote in milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

from mesh.errors import InvalidArgument, MeshError, ResourceExhausted, Unavailable
from mesh.telemetry import log
from services.execution import task

START_SECONDS: Final = 60.0
"""How long a zygote may take to import the engines, on a cold disk."""

RESTART_SECONDS: Final = 0.2
"""Before a zygote that died is started again."""

OnProgress = Callable[[float, str], None]


class EngineFault(MeshError):
    """The child ended without an answer: the engine crashed or was killed, often for memory. Another engine may do."""

    status = Unavailable.status


class Children:
    """A fixed number of warm children; a call waits for a free one, in the order of arrival."""

    def __init__(self, count: int, *, memory_bytes: int) -> None:
        """Plan `count` children with at most `memory_bytes` of address space each; `start` makes them."""
        self._count = count
        self._memory_bytes = memory_bytes
        self._idle: asyncio.Queue[_Child] = asyncio.Queue()
        self._zygote: _Zygote | None = None
        self._replacing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        # Each busy child keeps a thread in a blocking read; one more is for forks.
        self._readers = ThreadPoolExecutor(count + 1, "engine-child")

    @property
    def count(self) -> int:
        """How many calls run at a time."""
        return self._count

    async def start(self) -> None:
        """Start the zygote and fork the children; raises Unavailable where the engines cannot be imported."""
        self._zygote = await asyncio.to_thread(_Zygote, self._memory_bytes)
        for _ in range(self._count):
            self._idle.put_nowait(await self._fork(START_SECONDS))

    async def call(
        self, request: task.Request, *, timeout: float, on_progress: OnProgress | None = None
    ) -> task.Answer:
        """The answer to a request, in at most `timeout` seconds of running.

        Raises InvalidArgument for a fault of the program, ResourceExhausted when the time is up, and EngineFault when
        the child died. Cancelling the call kills the child.
        """
        child = await self._idle.get()
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
            raise EngineFault(message, reason="ENGINE_CRASH") from error
        finally:
            if healthy:
                self._idle.put_nowait(child)
            else:
                child.kill()
                replacing = asyncio.create_task(self._replace())
                self._replacing.add(replacing)
                replacing.add_done_callback(self._replacing.discard)
        if isinstance(answer, task.Failure):
            raise InvalidArgument(answer.message, reason=answer.reason, field=answer.field)
        return answer

    async def close(self) -> None:
        """Kill the zygote, and with it every child."""
        for replacing in self._replacing:
            replacing.cancel()
        if self._zygote is not None:
            await asyncio.to_thread(self._zygote.kill)

    async def _ask(self, child: _Child, request: task.Request, on_progress: OnProgress | None) -> task.Answer:
        child.connection.send_bytes(task.encode(request))
        while True:
            message = task.decode(await self._read(child.connection))
            if isinstance(message, task.Progress):
                if on_progress is not None:
                    on_progress(message.fraction, message.message)
            elif isinstance(message, task.Ready):
                raise TypeError("a child became ready twice")
            else:
                return message

    async def _replace(self) -> None:
        """Fork a child in place of one that is gone; where the zygote is gone too, start it anew first."""
        async with self._one_at_a_time:
            while True:
                try:
                    self._idle.put_nowait(await self._fork(START_SECONDS))
                except Unavailable as error:
                    log.warning("engine_restarts", reason=error.message)
                else:
                    return
                if self._zygote is not None:
                    await asyncio.to_thread(self._zygote.kill)
                await asyncio.sleep(RESTART_SECONDS)
                self._zygote = await asyncio.to_thread(_Zygote, self._memory_bytes)

    async def _fork(self, patience: float) -> _Child:
        if self._zygote is None:
            message = "the engines are not started"
            raise Unavailable(message, reason="ENGINE_UNAVAILABLE")
        ours, theirs = socket.socketpair()
        connection = Connection(ours.detach())
        try:
            with theirs:
                self._zygote.fork(theirs)
            async with asyncio.timeout(patience):
                ready = task.decode(await self._read(connection))
        except (TimeoutError, EOFError, OSError) as error:
            connection.close()
            message = "the engine process does not start; its log says why"
            raise Unavailable(message, reason="ENGINE_UNAVAILABLE") from error
        if not isinstance(ready, task.Ready):
            raise TypeError(f"a child began with {type(ready).__name__}")
        return _Child(connection, ready.pid)

    def _read(self, connection: Connection) -> asyncio.Future[bytes]:
        return asyncio.get_running_loop().run_in_executor(self._readers, connection.recv_bytes)


class _Zygote:
    """The zygote process and our end of its control socket."""

    def __init__(self, memory_bytes: int) -> None:
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
        arguments = [str(theirs.fileno()), str(os.getpid()), str(memory_bytes)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "services.execution.zygote", *arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

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
        self.connection = connection
        self._pidfd = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it; a thread that still reads from it sees the end of the stream."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        # The reading thread closes over the descriptor: shutting the socket down ends its read before the close.
        with suppress(OSError):
            socket.socket(fileno=os.dup(self.connection.fileno())).shutdown(socket.SHUT_RDWR)
        self.connection.close()
