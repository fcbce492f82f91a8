"""The process that engine children are forked from: it imported the engines once, so a fork is ready in milliseconds.

    parent (worker or service) ── control socket ──▶ zygote ── fork ──▶ child ◀── task socket ── parent
    parent ◀── how a child ended ── zygote

The zygote runs nothing itself, so no library has started a thread before a fork. Parent, zygote and children die
together (PR_SET_PDEATHSIG), whatever kills the first of them. Run by `children.py`, never by hand.
"""

from __future__ import annotations

import array
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

END = struct.Struct("!Ii")
"""What the zygote tells of a child that has ended: its process id, and its status as of `os.wait`."""

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ends; ends at once where it has already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def main() -> None:
    """Import the engines, then fork a child for every socket that comes over the control socket.

    argv: the control socket, the parent, bytes of address space for each child, and "engines" or "parsers".
    """
    die_with_parent(int(sys.argv[2]))
    memory_bytes = int(sys.argv[3])
    engines = sys.argv[4] == "engines"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))

    gc.disable()  # imports make much and throw away little: looking for garbage meanwhile takes a tenth of the time
    from services.execution import compute  # noqa: PLC0415 - after the signals: it takes a second

    compute.preload(engines=engines)
    gc.collect()
    gc.freeze()
    gc.enable()
    me = os.getpid()
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    children: dict[int, int] = {}  # by the descriptor that tells of its end
    while True:
        for descriptor, _ in waiting.poll():
            if descriptor in children:
                waiting.unregister(descriptor)
                os.close(descriptor)
                pid = children.pop(descriptor)
                control.send(END.pack(pid, os.waitpid(pid, 0)[1]))
                continue
            task = _next_task(control)
            if task is None:
                return
            pid = os.fork()
            if pid == 0:
                control.close()
                for sibling in children:
                    os.close(sibling)
                die_with_parent(me)
                resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                with suppress(OSError):  # the kernel should rather end it than a service or the database
                    Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
                compute.serve(Connection(task), engines=engines)
                os._exit(0)
            os.close(task)
            end = os.pidfd_open(pid)
            children[end] = pid
            waiting.register(end, select.POLLIN)


def _next_task(control: socket.socket) -> int | None:
    """The socket of the next child to fork; None where the parent is gone."""
    message, ancillary, _flags, _address = control.recvmsg(1, socket.CMSG_LEN(array.array("i", [0]).itemsize))
    return array.array("i", ancillary[0][2])[0] if message else None


if __name__ == "__main__":
    main()
