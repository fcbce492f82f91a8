"""One supervisor for one state folder, also after a crash: the lock goes with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from io import TextIOWrapper
from pathlib import Path

from deploy.local.problem import StartError


class FolderLock:
    """An exclusive lock on a state folder, held until `release` or the end of the process."""

    def __init__(self, stream: TextIOWrapper) -> None:
        """Keep the locked file open."""
        self._stream = stream

    @classmethod
    def take(cls, state: Path) -> FolderLock:
        """Take the lock; raises StartError, naming the holder, where another supervisor has it."""
        file = _file(state)
        stream = file.open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise StartError(
                f"Another supervisor (process {holder(state)}) runs with the state in {state}. "
                "Stop it (`make down`), or choose another folder: `make up STATE=…` (--state)."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        return cls(stream)

    def release(self) -> None:
        """Let the next one in."""
        self._stream.truncate(0)
        self._stream.close()


def holder(state: Path) -> int | None:
    """The process that holds the lock of a state folder now, or None."""
    file = _file(state)
    if not file.exists():
        return None
    with file.open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(stream.read() or 0)
    return None


def _file(state: Path) -> Path:
    return state / "supervisor.lock"
