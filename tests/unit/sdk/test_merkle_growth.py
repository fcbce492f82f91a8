"""Consistency and growth, beside the service's own proofs."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from qmumma.merkle import EMPTY_ROOT, GrowingTree, Tree, grows_into, hash_leaf

from services.signing.proofs import prove_consistency
from services.signing.tree import Frontier, Node, root_at

LEAVES = [hash_leaf(b"%d" % number) for number in range(70)]
HASHES: dict[Node, bytes] = dict(Frontier().append(LEAVES).rows)
TREES = [Tree(size, root_at(size, HASHES)) for size in range(len(LEAVES) + 1)]


def test_every_honest_proof_holds_and_one_changed_node_does_not() -> None:
    for new in range(1, len(LEAVES) + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, HASHES)
            assert grows_into(TREES[old], TREES[new], proof), (old, new)
            for place in range(len(proof)):
                broken = [*proof[:place], hashlib.sha256(proof[place]).digest(), *proof[place + 1 :]]
                assert not grows_into(TREES[old], TREES[new], broken)
            assert not grows_into(TREES[old], TREES[new], [*proof, bytes(32)])
            assert not proof or not grows_into(TREES[old], TREES[new], proof[:-1])


def test_every_tree_begins_with_the_empty_one_and_none_shrinks() -> None:
    assert grows_into(Tree(0, EMPTY_ROOT), TREES[9], ())
    assert not grows_into(Tree(0, bytes(32)), TREES[9], ())
    assert not grows_into(TREES[9], TREES[8], ())
    assert not grows_into(TREES[9], Tree(9, bytes(32)), ())


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_growing_tree_has_the_root_of_its_leaves_wherever_it_stopped(first: int, second: int) -> None:
    first, second = sorted((first, second))
    tree = GrowingTree()
    for leaf in LEAVES[:first]:
        tree.add(leaf)
    assert tree.root() == TREES[first].root
    again = GrowingTree(tree.size, tree.subtrees)
    for leaf in LEAVES[first:second]:
        again.add(leaf)
    assert again.root() == TREES[second].root
