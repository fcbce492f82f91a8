"""The process that the mesh's own are forked from: it imported their code once, so each is up in a tenth of the time.

    supervisor ── control socket ──▶ nursery ── fork ──▶ service, edge, worker

It imports and forks and does nothing else: no thread, no event loop, no gRPC call, so a fork is a clean copy. What
comes of it then runs `python -m <module>` as if it had been started so. The first are forked before the last are
imported, so those come first that have most to do. Run by `spawning.py`, never by hand.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LONGEST_MESSAGE = 65_536
"""Bytes of one request or answer."""
_ARGUMENTS = slice(47, 49)
"""arg_start and arg_end in /proc/self/stat (proc(5)), counted from 0."""


@dataclass(frozen=True)
class Birth:
    """What to become, as it comes over the control socket: a module, and how its process is set up."""

    module: str
    arguments: list[str]
    folder: str
    death_signal: int


def main() -> None:
    """Import modules, and fork for every request over the control socket. argv: the socket, the parent, the modules."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _die_with(int(sys.argv[2]), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    birth, log = _next_birth(control, sys.argv[3:])
    control.close()
    gc.enable()
    _become(birth, log)
    runpy.run_module(birth.module, run_name="__main__", alter_sys=True)


@functools.cache
def _preload(module: str) -> None:
    """Import what a module or package needs to be run; if that fails, it says so in its own log when it is run."""
    with suppress(Exception):
        main = f"{module}.__main__" if hasattr(importlib.import_module(module), "__path__") else module
        importlib.import_module(main)
        del sys.modules[main]  # it is run, not imported, as the main module of its process


def _next_birth(control: socket.socket, modules: list[str]) -> tuple[Birth, int]:
    """Serve requests, and import while there are none; returns in every child, with its part and its log."""
    me = os.getpid()
    while True:
        while modules and not select.select([control], [], [], 0)[0]:
            _preload(modules.pop(0))
        message, descriptors, _, _ = socket.recv_fds(control, LONGEST_MESSAGE, 1)
        if not message:
            sys.exit(0)
        request = json.loads(message)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            control.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            continue
        birth, log = Birth(**request), descriptors[0]
        _preload(birth.module)
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            _die_with(me, birth.death_signal)
            return birth, log
        os.close(log)
        control.send(json.dumps(pid).encode())


def _become(birth: Birth, log: int) -> None:
    """Be the leader of an own session, with the log for output, as a started program would be."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(birth.folder)
    sys.argv = [birth.module, *birth.arguments]
    _show_as(f"{Path(sys.executable).name}\0-m\0{birth.module}")


def _show_as(title: str) -> None:
    """Have `ps` show the module instead of the nursery: overwrite this process' own argument strings."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = (int(field) for field in ["", "", *fields][_ARGUMENTS])
    room = end - start
    ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)


def _die_with(parent: int, number: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
