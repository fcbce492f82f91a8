"""Anchors: a leaf of the log, and what proves that the log has it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.signing.checkpoint import SignedHead
from services.signing.proofs import Proof, includes
from services.signing.tree import hash_leaf


@dataclass(frozen=True, slots=True)
class Anchor:
    """A leaf, the number of leaves before it, and the proof that leads from it to the root of `head`."""

    leaf: bytes
    leaf_index: int
    inclusion: Proof
    head: SignedHead

    @property
    def leaf_hash(self) -> bytes:
        """The leaf hash, 32 bytes: the anchor's txid."""
        return hash_leaf(self.leaf)

    def holds(self) -> bool:
        """Whether the proof leads to the root."""
        return includes(self.leaf_hash, self.leaf_index, self.head.size, proof=self.inclusion, root=self.head.root)
