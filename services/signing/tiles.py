"""The static shape of the log (C2SP tlog-tiles): which nodes a tile holds, how its path is written.

The tile N of level L holds the nodes (8L, 256N) to (8L, 256N + width - 1); a full one is 256 wide. Entry
bundles cut the log's entries in the same way. Paths are relative to the log's prefix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from services.signing.tree import Node

TILE_WIDTH = 256
TILE_HEIGHT = 8

_LEVEL_MAX = 63
_ENTRY_BYTES_MAX = 0xFFFF
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class BadTileError(ValueError):
    """The text is no path of a tile, or the tree has no such tile."""


class Tile(NamedTuple):
    """The address of a tile. `level` is None for a bundle of entries; `width` is 1 to 256."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Write the address, such as `tile/0/x001/x234/067.p/5`."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"

    @property
    def first(self) -> Node:
        """Return the first node of the tile; a bundle has the leaves of the level 0 tile. The rest follow it."""
        return Node(TILE_HEIGHT * (self.level or 0), TILE_WIDTH * self.number)

    def stands_in(self, size: int) -> bool:
        """Tell whether a tree of `size` leaves has every hash of this tile."""
        node = self.first
        return node.position + self.width <= size >> node.level


def parse_tile(path: str) -> Tile:
    """Read what `Tile.path` writes; BadTileError for any other text."""
    match = _PATH.fullmatch(path)
    if match is not None:
        level = None if match["level"] == "entries" else int(match["level"])
        number = int(match["number"].replace("x", "").replace("/", ""))
        tile = Tile(level, number, int(match["width"] or TILE_WIDTH))
        if tile.path == path and (level is None or level <= _LEVEL_MAX):
            return tile
    message = f"{path!r} is not the path of a tile"
    raise BadTileError(message)


def bundle_entries(entries: Sequence[bytes]) -> bytes:
    """Write log entries as a bundle: each after its length in two bytes, big-endian."""
    if any(len(entry) > _ENTRY_BYTES_MAX for entry in entries):
        message = f"a log entry has at most {_ENTRY_BYTES_MAX} bytes"
        raise ValueError(message)
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
