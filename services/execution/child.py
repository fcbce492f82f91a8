"""One engine child and the zygote it is forked from, as their parent sees them."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.execution import task
from services.execution.zygote import END

END_SECONDS: Final = 2.0
"""How long the zygote may take to say how a child has ended."""

_HEAD: Final = struct.Struct("!i")
_MOST_AT_ONCE: Final = 2**18
_VMSTAT = Path("/proc/vmstat")


class Zygote:
    """The zygote process and our end of its control socket."""

    def __init__(self, memory_bytes: int, *, engines: bool) -> None:
        """Start it; `listen` and `fork` come next."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        self._control = ours
        self._ends: dict[int, asyncio.Future[int]] = {}
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

    def listen(self) -> None:
        """Hear from now on how children end."""
        asyncio.get_running_loop().add_reader(self._control.fileno(), self._hear)

    def end_of(self, pid: int) -> asyncio.Future[int]:
        """How a child will have ended, once it has: a status as of `os.wait`."""
        end = self._ends[pid] = asyncio.get_running_loop().create_future()
        return end

    def fork(self, task_socket: socket.socket) -> None:
        """Have a child forked that serves `task_socket`."""
        socket.send_fds(self._control, [b"f"], [task_socket.fileno()])

    def kill(self) -> None:
        """End it and its children; blocks until it is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of it once it is killed."""
        with suppress(ValueError):
            asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        for end in self._ends.values():
            end.cancel()

    def _hear(self) -> None:
        try:
            while len(message := self._control.recv(END.size)) == END.size:
                pid, status = END.unpack(message)
                if (end := self._ends.pop(pid, None)) is not None and not end.done():
                    end.set_result(status)
        except BlockingIOError:
            return
        except ConnectionResetError:
            """It ended before it had read all that it was sent."""
        asyncio.get_running_loop().remove_reader(self._control.fileno())  # it is gone


class TaskStream:
    """Our end of a child's task socket, which carries messages as `multiprocessing.connection` frames them."""

    def __init__(self, ours: socket.socket) -> None:
        """Take the socket."""
        ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._socket = ours

    async def send(self, message: bytes) -> None:
        """Send a message; a child that does not read keeps it waiting. Raises OSError."""
        await asyncio.get_running_loop().sock_sendall(self._socket, _HEAD.pack(len(message)) + message)

    async def receive(self) -> bytes:
        """The next message. Raises EOFError at the end, and OSError for more than task.LARGEST_ANSWER bytes."""
        (size,) = _HEAD.unpack(await self._exactly(_HEAD.size))
        if not 0 <= size <= task.LARGEST_ANSWER:
            raise OSError(errno.EMSGSIZE, "the child sends more than is taken")
        return await self._exactly(size)

    def close(self) -> None:
        """End it."""
        self._socket.close()

    async def _exactly(self, size: int) -> bytes:
        loop, parts = asyncio.get_running_loop(), bytearray()
        while len(parts) < size:
            part = await loop.sock_recv(self._socket, min(size - len(parts), _MOST_AT_ONCE))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class Child:
    """One child and our end of its task socket."""

    def __init__(self, stream: TaskStream, pid: int, end: asyncio.Future[int]) -> None:
        """Take the child `pid`, which says by `end` how it ended."""
        self.stream = stream
        self._end = end
        self._pidfd = os.pidfd_open(pid)
        self._ended = select.poll()
        self._ended.register(self._pidfd, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._ended.poll(0)

    async def death(self, *, for_memory: bool) -> str:
        """Say, for people, how it came to the end that it met by itself; `for_memory`, the kernel killed somebody."""
        await asyncio.wait({self._end}, timeout=END_SECONDS)
        if not self._end.done() or self._end.cancelled():
            return "the engine ended without an answer"
        status = self._end.result()
        if not os.WIFSIGNALED(status):
            return "the engine ended with an error, which the worker's log shows"
        number = os.WTERMSIG(status)
        if number == signal.SIGKILL and for_memory:
            return "the engine was killed because the machine ran out of memory"
        return f"the engine was ended by {signal.Signals(number).name}"

    def kill(self) -> None:
        """End it; nobody may wait for its messages any more."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        self.stream.close()


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for lack of memory since the machine started."""
    for line in _VMSTAT.read_text("ascii").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
