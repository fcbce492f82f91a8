"""The verifier's Merkle code, written a second time, against the log's own."""

from __future__ import annotations

from qmumma.merkle import hash_leaf, path_length, root_of

from services.signing import proofs, tree

LARGEST = 40


def test_every_path_that_the_log_makes_leads_to_the_log_s_root() -> None:
    leaves = [hash_leaf(b"%d" % index) for index in range(LARGEST)]
    hashes = dict(tree.Frontier().append(leaves).rows)
    for size in range(1, LARGEST + 1):
        root = tree.root_at(size, hashes)
        for index in range(size):
            path = proofs.prove_inclusion(index, size, hashes)
            assert len(path) == path_length(index, size)
            assert root_of(leaves[index], index, size, path) == root


def test_a_path_of_a_wrong_length_or_place_leads_nowhere() -> None:
    leaf = hash_leaf(b"")
    assert root_of(leaf, 0, 1, []) == leaf
    assert root_of(leaf, 0, 1, [leaf]) is None
    assert root_of(leaf, 1, 1, []) is None
    assert root_of(leaf, 0, 0, []) is None
    assert root_of(leaf, 3, 7, [leaf, leaf]) is None


def test_leaves_are_hashed_as_the_log_hashes_them() -> None:
    assert hash_leaf(b"entry") == tree.hash_leaf(b"entry")
