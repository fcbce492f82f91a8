"""The Merkle tree and its proofs against RFC 6962 written down naively."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.proofs import (
    consistency_nodes,
    extends,
    includes,
    inclusion_nodes,
    prove_consistency,
    prove_inclusion,
)
from services.signing.tree import (
    EMPTY_ROOT,
    BadSizeError,
    Frontier,
    Hashes,
    Node,
    cover,
    hash_leaf,
    root_at,
    root_nodes,
)

RFC_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
RFC_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
LARGEST = 70


def naive_root(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = naive_split(len(entries))
    return hashlib.sha256(b"\1" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(entries) == 1:
        return []
    k = naive_split(len(entries))
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_subproof(m: int, entries: Sequence[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if m == len(entries):
        return [] if known else [naive_root(entries)]
    k = naive_split(len(entries))
    if m <= k:
        return [*naive_subproof(m, entries[:k], known=known), naive_root(entries[k:])]
    return [*naive_subproof(m - k, entries[k:], known=False), naive_root(entries[:k])]


def naive_split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def entries_of(size: int) -> list[bytes]:
    return [b"entry %d" % index for index in range(size)]


def stored(entries: Sequence[bytes]) -> dict[Node, bytes]:
    return dict(Frontier().append([hash_leaf(entry) for entry in entries]).rows)


def only(nodes: Sequence[Node], hashes: Hashes) -> dict[Node, bytes]:
    """What one query for exactly these nodes returns."""
    return {node: hashes[node] for node in nodes}


ENTRIES = entries_of(LARGEST)
HASHES = stored(ENTRIES)
ROOTS = [naive_root(ENTRIES[:size]) for size in range(LARGEST + 1)]


def test_the_known_roots_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    growth = Frontier().append([hash_leaf(leaf) for leaf in RFC_LEAVES])
    assert growth.frontier.root().hex() == RFC_ROOT
    assert Frontier().root() == EMPTY_ROOT


def test_the_root_at_every_past_size_is_readable_from_the_stored_rows() -> None:
    for size, root in enumerate(ROOTS):
        assert root_at(size, only(root_nodes(size), HASHES)) == root
        assert Frontier.read(size, HASHES).root() == root


@given(st.lists(st.integers(0, 40), max_size=6))
def test_batches_of_any_size_grow_the_same_tree(batches: list[int]) -> None:
    entries = entries_of(sum(batches))
    frontier, start = Frontier(), 0
    rows: dict[Node, bytes] = {}
    for width in batches:
        growth = frontier.append([hash_leaf(entry) for entry in entries[start : start + width]])
        assert not rows.keys() & dict(growth.rows).keys()
        rows.update(growth.rows)
        frontier, start = growth.frontier, start + width
    assert rows == stored(entries)
    assert frontier == Frontier.read(len(entries), rows)
    assert frontier.root() == naive_root(entries)


def test_a_tree_stores_fewer_than_two_rows_for_each_leaf() -> None:
    for size in range(1, LARGEST):
        assert size <= len(stored(ENTRIES[:size])) < 2 * size


def test_every_stored_row_is_the_root_of_its_complete_subtree() -> None:
    for (level, position), node_hash in HASHES.items():
        assert node_hash == naive_root(ENTRIES[position << level : (position + 1) << level])


def test_every_inclusion_proof_is_that_of_the_rfc_and_holds() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = prove_inclusion(index, size, only(inclusion_nodes(index, size), HASHES))
            assert list(proof) == naive_path(index, ENTRIES[:size])
            assert includes(hash_leaf(ENTRIES[index]), index, size, proof=proof, root=ROOTS[size])


def test_every_consistency_proof_is_that_of_the_rfc_and_holds() -> None:
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, only(consistency_nodes(old, new), HASHES))
            assert list(proof) == naive_subproof(old, ENTRIES[:new], known=True)
            assert extends(old, new, proof=proof, old_root=ROOTS[old], new_root=ROOTS[new])


@given(st.data())
def test_an_altered_inclusion_proof_does_not_hold(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, HASHES)
    leaf = hash_leaf(ENTRIES[index])
    place = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    altered = (*proof[:place], hash_leaf(b"other"), *proof[place + 1 :])
    assert not includes(leaf, index, size, proof=altered, root=ROOTS[size])
    assert not includes(leaf, index, size, proof=proof[:-1], root=ROOTS[size])
    assert not includes(leaf, index, size, proof=(*proof, leaf), root=ROOTS[size])
    assert not includes(leaf, other, size, proof=proof, root=ROOTS[size])
    assert not includes(hash_leaf(b"other"), index, size, proof=proof, root=ROOTS[size])
    assert not includes(leaf, size, size, proof=proof, root=ROOTS[size])


@given(st.data())
def test_an_altered_consistency_proof_does_not_hold(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, LARGEST))
    old = data.draw(st.integers(1, new - 1))
    proof = prove_consistency(old, new, HASHES)
    place = data.draw(st.integers(0, len(proof) - 1))
    altered = (*proof[:place], hash_leaf(b"other"), *proof[place + 1 :])
    roots = {"old_root": ROOTS[old], "new_root": ROOTS[new]}
    assert not extends(old, new, proof=altered, **roots)
    assert not extends(old, new, proof=proof[:-1], **roots)
    assert not extends(old, new, proof=(*proof, ROOTS[old]), **roots)
    assert not extends(old, new, proof=proof, old_root=ROOTS[new], new_root=ROOTS[new])
    assert not extends(old, new, proof=proof, old_root=ROOTS[old], new_root=ROOTS[old])
    assert not extends(new, old, proof=proof, **roots)


@given(st.integers(1, 2**40), st.data())
def test_a_proof_reads_a_logarithmic_number_of_rows(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    limit = 2 * size.bit_length()
    assert len(inclusion_nodes(index, size)) <= limit
    assert len(consistency_nodes(index + 1, size)) <= limit
    assert len(root_nodes(size)) <= size.bit_length()


def test_what_lies_outside_the_tree_is_refused() -> None:
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(BadSizeError, match="is not in a tree"):
            inclusion_nodes(index, size)
    for old, new in ((0, 5), (6, 5), (-1, 5)):
        with pytest.raises(BadSizeError, match="does not begin with"):
            consistency_nodes(old, new)
    for start, end in ((1, 3), (-1, 0), (3, 2), (2, 6)):
        with pytest.raises(BadSizeError, match="not a subtree"):
            cover(start, end)


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 3"):
        Frontier().append([b"abc"])
