"""What the witness has seen last, in a file: written whole, synced, and only then acted upon.

A power failure or a kill -9 leaves the old memory or the new one. A memory that is gone or damaged is not begun anew: a
witness that forgets would sign a fork.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec
from qmumma.merkle import EMPTY_ROOT, Tree

FILE = "memory.json"
_EVIDENCE_MAX = 100


class MemoryFaultError(RuntimeError):
    """The memory is gone, damaged, or cannot be written; the message says what to do."""


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest tree that was signed, the log that it is of, and the checkpoint itself."""

    origin: str = ""
    log_keys: tuple[str, ...] = ()
    size: int = 0
    root: bytes = EMPTY_ROOT
    checkpoint: str = ""

    @property
    def tree(self) -> Tree:
        """Size and root."""
        return Tree(self.size, self.root)


def load(folder: Path) -> Memory:
    """What was kept last; raises MemoryFaultError."""
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Memory)
    except FileNotFoundError:
        message = (
            f"{file} is gone: this witness has forgotten what it signed. Restore it, or begin another in a new folder"
        )
    except (OSError, msgspec.DecodeError) as error:
        message = f"{file} cannot be read ({error}): restore it, or begin another witness in a new folder"
    raise MemoryFaultError(message)


def keep(folder: Path, memory: Memory) -> None:
    """Replace what was kept; on return it is on the disk."""
    write_durably(folder / FILE, msgspec.json.format(msgspec.json.encode(memory), indent=1))


def keep_evidence(folder: Path, note: str) -> Path:
    """Keep a checkpoint that contradicts the memory, under its text's hash; returns where it, or enough others, lies.

    One of a tree is enough, and a hundred of them prove no more than the first: a log that lies at every look does not
    fill the disk.
    """
    evidence = folder / "evidence"
    evidence.mkdir(mode=0o700, exist_ok=True)
    text, _, _ = note.partition("\n\n")
    file = evidence / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.note"
    if file.exists():
        return file
    if len(list(evidence.iterdir())) >= _EVIDENCE_MAX:
        return evidence
    write_durably(file, note.encode())
    return file


def write_durably(file: Path, data: bytes) -> None:
    """Write a file as a whole, readable by its owner alone; raises MemoryFaultError."""
    fresh = file.with_suffix(".new")
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise MemoryFaultError(message) from error
