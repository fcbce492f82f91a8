"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2; checked as in RFC 9162, section 2.1).

A proof is a tuple of hashes. Making one takes two steps: `*_nodes` says which stored nodes it needs, the function
without the suffix builds it from their hashes. At most one hash of a proof spans an incomplete subtree, so a proof
reads at most 2 * log2(size) nodes.
"""

from __future__ import annotations

from services.signing.tree import BadSizeError, Hashes, Node, cover, fold, hash_children

Proof = tuple[bytes, ...]
Range = tuple[int, int]


def inclusion_nodes(index: int, size: int) -> tuple[Node, ...]:
    """Return the nodes that proving leaf `index` in a tree of `size` leaves reads."""
    return _nodes(_inclusion_ranges(index, size))


def prove_inclusion(index: int, size: int, hashes: Hashes) -> Proof:
    """Return the audit path of leaf `index`, deepest sibling first; KeyError if `hashes` lacks a node."""
    return _read(_inclusion_ranges(index, size), hashes)


def consistency_nodes(old: int, new: int) -> tuple[Node, ...]:
    """Return the nodes that proving the first `old` of `new` leaves unchanged reads."""
    return _nodes(_consistency_ranges(old, new))


def prove_consistency(old: int, new: int, hashes: Hashes) -> Proof:
    """Return the proof that the tree of `new` leaves extends that of `old`; 1 <= old <= new."""
    return _read(_consistency_ranges(old, new), hashes)


def includes(leaf_hash: bytes, index: int, size: int, *, proof: Proof, root: bytes) -> bool:
    """Tell whether `proof` leads from leaf `index` of `size` to `root`."""
    if not 0 <= index < size:
        return False
    ranges = _inclusion_ranges(index, size)
    if len(ranges) != len(proof):
        return False
    for (start, _end), sibling in zip(ranges, proof, strict=True):
        leaf_hash = hash_children(sibling, leaf_hash) if start < index else hash_children(leaf_hash, sibling)
    return leaf_hash == root


def extends(old: int, new: int, *, proof: Proof, old_root: bytes, new_root: bytes) -> bool:
    """Tell whether `proof` shows that the tree (new, new_root) begins with the tree (old, old_root)."""
    if not 1 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = (old_root, *proof) if old & (old - 1) == 0 else proof
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_hash = new_hash = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_hash, new_hash = hash_children(sibling, old_hash), hash_children(sibling, new_hash)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new_hash = hash_children(new_hash, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_hash == old_root and new_hash == new_root


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 splits [start, end): after the largest power of two below its width."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    if not 0 <= index < size:
        message = f"leaf {index} is not in a tree of {size} leaves"
        raise BadSizeError(message)
    siblings: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return tuple(reversed(siblings))


def _consistency_ranges(old: int, new: int) -> tuple[Range, ...]:
    if not 1 <= old <= new:
        message = f"a tree of {new} leaves does not begin with one of {old}"
        raise BadSizeError(message)
    ranges: list[Range] = []
    start, end = 0, new
    while old != end:
        middle = _split(start, end)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return tuple(reversed(ranges))


def _nodes(ranges: tuple[Range, ...]) -> tuple[Node, ...]:
    return tuple(node for start, end in ranges for node in cover(start, end))


def _read(ranges: tuple[Range, ...], hashes: Hashes) -> Proof:
    return tuple(fold([hashes[node] for node in cover(start, end)]) for start, end in ranges)
