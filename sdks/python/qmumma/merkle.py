"""Merkle trees, on the verifying side: inclusion and consistency (RFC 9162, sections 2.1.3.2 and 2.1.4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


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
        node = hash_children(sibling, node) if index & 1 else hash_children(node, sibling)
        index, last = index >> 1, last >> 1
    return node


@dataclass(frozen=True, slots=True)
class Tree:
    """What is known of a tree: how many leaves it has, and its root."""

    size: int
    root: bytes


def grows_into(old: Tree, new: Tree, proof: Sequence[bytes]) -> bool:
    """Tell whether the proof shows that `new` begins with all leaves of `old` (RFC 9162, section 2.1.4.2)."""
    if old.size == 0:
        return not proof and old.root == EMPTY_ROOT
    if old.size >= new.size:
        return not proof and old == new
    path = [old.root, *proof] if old.size.bit_count() == 1 else list(proof)
    first, last = old.size - 1, new.size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    if not path:
        return False
    old_root = new_root = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old_root, new_root = hash_children(node, old_root), hash_children(node, new_root)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new_root = hash_children(new_root, node)
        first, last = first >> 1, last >> 1
    return last == 0 and (old_root, new_root) == (old.root, new.root)


class GrowingTree:
    """A tree that leaves are added to; it remembers only the at most 64 subtrees that cover them."""

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """Go on from a size and the roots of its complete subtrees, left to right."""
        if len(subtrees) != size.bit_count():
            message = f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(subtrees)}"
            raise ValueError(message)
        self.size = size
        self.subtrees = list(subtrees)

    def add(self, leaf_hash: bytes) -> None:
        """Add a leaf."""
        node, index = leaf_hash, self.size
        while index & 1:
            node, index = hash_children(self.subtrees.pop(), node), index >> 1
        self.subtrees.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.subtrees:
            return EMPTY_ROOT
        node = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            node = hash_children(left, node)
        return node
