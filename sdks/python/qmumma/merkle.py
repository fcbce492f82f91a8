"""The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def hash_leaf(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def path_length(index: int, size: int) -> int:
    """Return how many hashes the proof of leaf `index` in a tree of `size` leaves has; index < size."""
    last, length = size - 1, 0
    while last:
        length += bool(index & 1 or index < last)
        index, last = index >> 1, last >> 1
    return length


def root_of(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root over `leaf_hash` and `path`, or None when the path's length is wrong for this place."""
    if not 0 <= index < size or len(path) != path_length(index, size):
        return None
    node, last = leaf_hash, size - 1
    for sibling in path:
        while not index & 1 and index == last:
            index, last = index >> 1, last >> 1
        pair = sibling + node if index & 1 else node + sibling
        node = hashlib.sha256(b"\x01" + pair).digest()
        index, last = index >> 1, last >> 1
    return node
