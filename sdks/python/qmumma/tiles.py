"""The log as static files (C2SP tlog-tiles): where each lies, and what is in it.

A tile of level 0 has the hashes of up to 256 entries, one of a higher level the roots of up to 256 full tiles below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qmumma.exact import UnreadableError
from qmumma.merkle import GrowingTree
from qmumma.remote import NotThereError

WIDTH = 256
HASH_BYTES = 32
CHECKPOINT_PATH = "/v1/log/checkpoint"
_PREFIX = "/v1/log/tile"

Fetch = Callable[[str], bytes]
"""Gets what lies at a path; raises NotThereError for 404, UnreadableError where the server does not answer."""


def tile_path(level: int | None, number: int, width: int = WIDTH) -> str:
    """The path of a tile, or of a bundle of entries where `level` is None."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *first, last = (digits[start : start + 3] for start in range(0, len(digits), 3))
    place = "/".join((*(f"x{group}" for group in first), last))
    partial = "" if width == WIDTH else f".p/{width}"
    return f"{_PREFIX}/{'entries' if level is None else level}/{place}{partial}"


def read_hashes(fetch: Fetch, level: int, number: int, width: int) -> list[bytes]:
    """The first `width` hashes of a tile."""
    data = _fetch(fetch, level, number, width)
    if len(data) < width * HASH_BYTES or len(data) % HASH_BYTES:
        message = f"{tile_path(level, number, width)}: has {len(data)} bytes, not {width * HASH_BYTES}"
        raise UnreadableError(message)
    return [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]


def read_entries(fetch: Fetch, number: int, width: int) -> list[bytes]:
    """The first `width` entries of a bundle."""
    data = _fetch(fetch, None, number, width)
    entries = list(_entries(data))
    if len(entries) < width or sum(2 + len(entry) for entry in entries) != len(data):
        message = f"{tile_path(None, number, width)}: is no bundle of {width} entries"
        raise UnreadableError(message)
    return entries[:width]


def tile_root(hashes: list[bytes]) -> bytes:
    """The root over the hashes of a tile."""
    tree = GrowingTree()
    for node in hashes:
        tree.add(node)
    return tree.root()


def _fetch(fetch: Fetch, level: int | None, number: int, width: int) -> bytes:
    """A tile that is not full yet may be gone once the full one is there (tlog-tiles, Partial Tiles)."""
    try:
        return fetch(tile_path(level, number, width))
    except NotThereError:
        if width == WIDTH:
            raise
        return fetch(tile_path(level, number))


def _entries(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2])
        entry = data[at + 2 : at + 2 + length]
        if len(entry) < length:
            return
        yield entry
        at += 2 + length
