"""The process that engine children are forked from: it imported the engines once, so a fork is ready in milliseconds.

    parent (worker or service) ── control socket ──▶ zygote ── fork ──▶ child ◀── task socket ── parent

The zygote runs nothing itself, so no library has started a thread before a fork. Parent, zygote and children die
together (PR_SET_PDEATHSIG), whatever kills the first of them. Run by `children.py`, never by hand.
"""

from __future__ import annotations

import array
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from multiprocessing.connection import Connection

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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))

    gc.disable()  # imports make much and throw away little: looking for garbage meanwhile takes a tenth of the time
    from services.execution import compute  # noqa: PLC0415 - after the signals: it takes a second

    compute.preload(engines=engines)
    gc.collect()
    gc.freeze()
    gc.enable()
    me = os.getpid()
    while True:
        message, ancillary, _flags, _address = control.recvmsg(1, socket.CMSG_LEN(array.array("i", [0]).itemsize))
        if not message:
            return
        task = array.array("i", ancillary[0][2])[0]
        if os.fork() == 0:
            control.close()
            die_with_parent(me)
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            compute.serve(Connection(task), engines=engines)
            os._exit(0)
        os.close(task)


if __name__ == "__main__":
    main()
