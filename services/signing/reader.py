"""What the log answers: anchors with their inclusion proofs, consistency proofs, the newest checkpoint.

A checkpoint is signed when somebody first asks for it, so that a batch of records does not wait for its signature. The
first note that is kept for a size stands for ever; only committed trees are signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mesh.errors import InvalidArgument
from services.signing.anchor import Anchor
from services.signing.checkpoint import Checkpoint, Head, SignedHead
from services.signing.note import NoteSigner
from services.signing.proofs import Proof, consistency_nodes, inclusion_nodes, prove_consistency, prove_inclusion
from services.signing.store import SigningStore


class LogReader:
    """Reads the log."""

    def __init__(self, store: SigningStore, origin: str, signers: Sequence[NoteSigner]) -> None:
        """Read the log called `origin` in `store`; `signers` sign its checkpoints."""
        self._store = store
        self._origin = origin
        self._signers = signers

    async def head(self) -> SignedHead:
        """The newest checkpoint."""
        return await self._signed(await self._store.head())

    async def find_anchor(self, leaf_hash: bytes) -> Anchor | None:
        """The leaf with a hash, proven in the newest checkpoint; None where the log has no such leaf."""
        found = await self._store.find_leaf(leaf_hash)
        if found is None:
            return None
        size = found.head.size
        hashes = await self._store.read_nodes(inclusion_nodes(found.leaf_index, size))
        head = await self._signed(found.head)
        return Anchor(found.leaf, found.leaf_index, prove_inclusion(found.leaf_index, size, hashes), head)

    async def prove_consistency(self, first_size: int, second_size: int) -> Proof:
        """The proof that the tree of `second_size` leaves begins with that of `first_size`.

        It is empty where both are one, and for the empty tree, which every tree begins with. Raises InvalidArgument
        (SIZE_OUT_OF_RANGE) unless first_size <= second_size <= the newest checkpoint's.
        """
        newest = (await self._store.head()).size
        if second_size > newest:
            message = f"second_size: the log has {newest} leaves so far."
            raise InvalidArgument(message, reason="SIZE_OUT_OF_RANGE", field="second_size")
        if first_size > second_size:
            message = "first_size: must not be above second_size."
            raise InvalidArgument(message, reason="SIZE_OUT_OF_RANGE", field="first_size")
        if first_size == 0:
            return ()
        hashes = await self._store.read_nodes(consistency_nodes(first_size, second_size))
        return prove_consistency(first_size, second_size, hashes)

    async def _signed(self, head: Head) -> SignedHead:
        if head.note is None:
            checkpoint = Checkpoint(self._origin, head.size, head.root)
            note = await asyncio.to_thread(checkpoint.sign, self._signers)
            return SignedHead(head.size, head.root, await self._store.keep_note(head.size, note.render()))
        return SignedHead(head.size, head.root, head.note)
