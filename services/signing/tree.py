"""The log's Merkle tree (RFC 6962, section 2.1), grown in batches and never rebuilt.

Storage is one table (level, position, hash). The node (level, position) is the root of the complete subtree over the
leaves [position * 2^level, (position + 1) * 2^level); level 0 holds the leaf hashes. A node is written once, when its
last leaf arrives, and never changes; n leaves make fewer than 2n rows. An append needs nothing but the frontier,
the at most 64 complete subtrees that cover the tree so far.

Nothing here reads storage. A caller asks which nodes a root or a proof needs (O(log n) of them), fetches them in
one query, and hands them back as a mapping.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class Node(NamedTuple):
    """The address of a complete subtree of 2^level leaves."""

    level: int
    position: int


Hashes = Mapping[Node, bytes]


class BadSizeError(ValueError):
    """A size, an index or a range lies outside the tree."""


def hash_leaf(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def cover(start: int, end: int) -> tuple[Node, ...]:
    """Return the complete subtrees over the leaves [start, end), left to right, fewest first from the left.

    The result is what RFC 6962 folds into the hash of that range, which holds when `start` is a multiple of the
    smallest power of two that is at least `end - start`; the ranges of a proof always are. BadSizeError otherwise.
    """
    width = end - start
    if start < 0 or width < 0 or (width and start % (1 << (width - 1).bit_length())):
        message = f"[{start}, {end}) is not a subtree of the log"
        raise BadSizeError(message)
    nodes = []
    for level in reversed(range(width.bit_length())):
        if width >> level & 1:
            nodes.append(Node(level, start >> level))
            start += 1 << level
    return tuple(nodes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over a cover's hashes, given left to right; EMPTY_ROOT for none."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_children(left, root)
    return root


def root_nodes(size: int) -> tuple[Node, ...]:
    """Return the nodes that `root_at` reads for a tree of `size` leaves: its frontier."""
    return cover(0, size)


def root_at(size: int, hashes: Hashes) -> bytes:
    """Return the root of the first `size` leaves; KeyError when `hashes` lacks one of `root_nodes(size)`."""
    return fold([hashes[node] for node in root_nodes(size)])


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree's size and the hashes of `root_nodes(size)`, left to right: all that an append needs to know."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, size: int, hashes: Hashes) -> Frontier:
        """Build from storage; KeyError when `hashes` lacks one of `root_nodes(size)`."""
        return cls(size, tuple(hashes[node] for node in root_nodes(size)))

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        return fold(self.hashes)

    def append(self, leaf_hashes: Sequence[bytes]) -> Growth:
        """Add leaf hashes (32 bytes each) in order; this frontier stays as it is."""
        stack = list(self.hashes)
        rows: list[tuple[Node, bytes]] = []
        for index, leaf_hash in enumerate(leaf_hashes, self.size):
            if len(leaf_hash) != HASH_BYTES:
                message = f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf_hash)}"
                raise ValueError(message)
            rows.append((Node(0, index), leaf_hash))
            level, position, node_hash = 0, index, leaf_hash
            while position & 1:
                node_hash = hash_children(stack.pop(), node_hash)
                level, position = level + 1, position >> 1
                rows.append((Node(level, position), node_hash))
            stack.append(node_hash)
        return Growth(Frontier(self.size + len(leaf_hashes), tuple(stack)), tuple(rows))


@dataclass(frozen=True, slots=True)
class Growth:
    """What an append changes: the frontier after it, and the rows to insert, each subtree after its parts."""

    frontier: Frontier
    rows: tuple[tuple[Node, bytes], ...]
