"""The Merkle tree over a batch of entries (RFC 6962, section 2.1). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def hash_leaf(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def levels_of(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The hashes of each level, from the leaves' up to the root alone; `leaves` are leaf hashes, at least one.

    A node without a sibling moves up unchanged, which gives the tree of section 2.1 for any number of leaves.
    """
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [_hash_node(below[start], below[start + 1]) for start in range(0, len(below) - 1, 2)]
        levels.append(pairs + ([below[-1]] if len(below) % 2 else []))
    return levels


def path_of(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """The inclusion proof of a leaf, from its sibling up."""
    path = []
    for level in levels[:-1]:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


def _hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
