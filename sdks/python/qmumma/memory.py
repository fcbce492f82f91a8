"""What a monitor remembers of a log: a JSON file, and beside it the hash of every entry, 32 bytes each."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from qmumma.exact import Json, UnreadableError, parse_object
from qmumma.merkle import EMPTY_ROOT, GrowingTree
from qmumma.note import decode_base64

_MEMBERS = {"log_keys", "size", "root", "subtrees", "checkpoint"}
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Memory:
    """The newest tree that held: its leaves' hashes, its complete subtrees, and the checkpoint signed over it."""

    log_keys: str = ""
    """The log's vkeys, one a line: those that were given, or that it had when it was first seen."""
    size: int = 0
    root: bytes = EMPTY_ROOT
    subtrees: tuple[bytes, ...] = ()
    checkpoint: str = ""
    leaves: list[bytes] = field(default_factory=list, repr=False)

    def tree(self) -> GrowingTree:
        """The tree, to be grown."""
        return GrowingTree(self.size, self.subtrees)


def load(file: Path) -> Memory | None:
    """What was kept, None where nothing was; UnreadableError where it cannot be used."""
    if not file.exists():
        return None
    try:
        members = parse_object(file.read_bytes(), str(file))
        data = leaves_file(file).read_bytes()
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise UnreadableError(message) from None
    try:
        memory = _read(members, data)
        if memory.tree().root() != memory.root:
            message = "its subtrees do not give its root"
            raise ValueError(message)  # noqa: TRY301 - told as the rest
    except (ValueError, TypeError, KeyError) as error:
        message = f"{file}: is not what a monitor kept: {error}"
        raise UnreadableError(message) from None
    return memory


def keep(file: Path, memory: Memory, known: int) -> None:
    """Keep it; the first `known` leaves are there already. A crash leaves the old memory or the new one."""
    leaves = leaves_file(file)
    with leaves.open("r+b" if leaves.exists() and known else "wb") as stream:
        stream.truncate(known * _HASH_BYTES)
        stream.seek(known * _HASH_BYTES)
        stream.write(b"".join(memory.leaves[known:]))
        stream.flush()
        os.fsync(stream.fileno())
    fresh = file.with_name(file.name + ".new")
    with fresh.open("w") as stream_of_text:
        json.dump(
            {
                "log_keys": memory.log_keys,
                "size": memory.size,
                "root": _base64(memory.root),
                "subtrees": [_base64(node) for node in memory.subtrees],
                "checkpoint": memory.checkpoint,
            },
            stream_of_text,
            indent=1,
        )
        stream_of_text.flush()
        os.fsync(stream_of_text.fileno())
    fresh.replace(file)


def leaves_file(file: Path) -> Path:
    """Where the hashes of the entries lie."""
    return file.with_name(file.name + ".leaves")


def _read(members: dict[str, Json], data: bytes) -> Memory:
    if members.keys() != _MEMBERS:
        message = f"it must have {', '.join(sorted(_MEMBERS))}"
        raise ValueError(message)
    size, subtrees = members["size"], members["subtrees"]
    if type(size) is not int or not isinstance(subtrees, list) or len(data) < size * _HASH_BYTES:
        message = "its parts do not belong together"
        raise ValueError(message)
    return Memory(
        str(members["log_keys"]),
        size,
        decode_base64(str(members["root"]), "root"),
        tuple(decode_base64(str(node), "a subtree") for node in subtrees),
        str(members["checkpoint"]),
        [data[at : at + _HASH_BYTES] for at in range(0, size * _HASH_BYTES, _HASH_BYTES)],
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
