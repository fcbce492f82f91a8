"""The supervisor's end of the nursery: processes that are forked instead of started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.local.nursery import LONGEST_MESSAGE, Birth
from deploy.local.process import Command, child_setup


class Nursery:
    """Forks what `python -m <module>` would start; began when first needed, and anew when it was lost."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Have `modules` imported; what the nursery itself has to say goes to `log`."""
        self._modules = tuple(dict.fromkeys(modules))
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the nursery itself while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def begin(self) -> None:
        """Start to import, unless it has."""
        if self.pid is not None:
            return
        self.kill()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "deploy.local.nursery", str(theirs.fileno()), str(os.getpid()), *self._modules],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                pass_fds=[theirs.fileno()],
                preexec_fn=child_setup(None, signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
            )
        ours.settimeout(0)
        self._control = ours

    def kill(self) -> None:
        """End it, and with it all that came of it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._control is not None:
            self._control.close()
        self._process = self._control = None

    async def spawn(self, command: Command) -> Forked:
        """Start a command of the form `python -m <module> …`. Raises OSError."""
        _python, _m, module, *arguments = command.arguments
        birth = Birth(module, arguments, str(command.folder or Path.cwd()), int(command.death_signal))
        with command.log.open("ab") as log:
            self.begin()
            pid = await self._ask(asdict(birth), log.fileno())
        return Forked(pid, self)

    async def status(self, pid: int) -> int:
        """The exit status of a fork that has ended; that of a kill where the nursery ended with it."""
        try:
            return await self._ask({"wait": pid})
        except OSError:
            return -signal.SIGKILL

    async def _ask(self, request: Mapping[str, Any], *descriptors: int) -> int:
        # Shielded: an answer that nobody took would be taken for that of the next request.
        return await asyncio.shield(asyncio.create_task(self._answer(request, *descriptors)))

    async def _answer(self, request: Mapping[str, Any], *descriptors: int) -> int:
        async with self._turn:
            if self._control is None:
                raise ConnectionResetError("the nursery is gone")
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            answer = await asyncio.get_running_loop().sock_recv(self._control, LONGEST_MESSAGE)
        if not answer:
            raise ConnectionResetError(f"the nursery is gone; its log is {self._log}")
        return int(json.loads(answer))


class Forked:
    """A process that the nursery forked."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        """Watch `pid`."""
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._ended = asyncio.create_task(self._watch(), name=f"wait for {pid}")

    async def wait(self) -> int:
        """The exit status once it has ended, negative for a signal."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _watch(self) -> int:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        with suppress(ProcessLookupError):  # the nursery was lost, and it has ended and been reaped already
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        self.returncode = await self._nursery.status(self.pid)
        return self.returncode
