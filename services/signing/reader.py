"""What the log answers: anchors with their inclusion proofs, consistency proofs, the newest checkpoint.

A checkpoint is signed when somebody first asks for it, so that a batch of records does not wait for its signature. The
first note that is kept for a size stands for ever; only committed trees are signed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

from mesh.errors import InvalidArgument, NotFound
from services.signing.anchor import Anchor
from services.signing.checkpoint import Checkpoint, Head, SignedHead
from services.signing.cosignature import Cosignature
from services.signing.note import NoteSigner
from services.signing.proofs import Proof, consistency_nodes, inclusion_nodes, prove_consistency, prove_inclusion
from services.signing.store import SigningStore, StoredTimestamp
from services.signing.tiles import BadTileError, Tile, bundle_entries, parse_tile

_TIMESTAMPS_MAX = 100
_STORED_LEVELS = range(63)
_STORED_POSITIONS = range(2**62)
"""What the columns of the database can hold; no log is larger."""


class LogReader:
    """Reads the log."""

    def __init__(self, store: SigningStore, origin: str, signers: Sequence[NoteSigner]) -> None:
        """Read the log called `origin` in `store`; `signers` sign its checkpoints."""
        self._store = store
        self._origin = origin
        self._signers = signers

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    async def timestamps(self) -> list[StoredTimestamp]:
        """What calendars outside have said of the newest checkpoints that they were sent."""
        return await self._store.newest_timestamps(_TIMESTAMPS_MAX)

    async def head(self) -> SignedHead:
        """The newest checkpoint."""
        return await self._signed(await self._store.head())

    async def witnessed_head(self) -> SignedHead:
        """The newest checkpoint that a witness has signed too; NotFound (NOT_WITNESSED) where none has."""
        head = await self._store.witnessed_head()
        if head is None:
            raise NotFound("No witness has signed a checkpoint of the log yet.", reason="NOT_WITNESSED")
        return await self._signed(head)

    async def tile(self, path: str) -> bytes:
        """The tile or the bundle of entries at a path of tlog-tiles.

        Raises NotFound (TILE_NOT_FOUND) where the path is none, or the log does not have all of it yet.
        """
        try:
            tile = parse_tile(path)
            if tile.first.position not in _STORED_POSITIONS:
                parts = []
            elif tile.level is None:
                parts = await self._store.read_leaves(tile.first.position, tile.width)
            elif tile.first.level in _STORED_LEVELS:
                parts = await self._store.read_hashes(tile.first, tile.width)
            else:
                parts = []
        except BadTileError:
            parts, tile = [], Tile(0, 0)
        if len(parts) < tile.width:
            raise NotFound("The log has no such tile.", reason="TILE_NOT_FOUND", field="path")
        return bundle_entries(parts) if tile.level is None else b"".join(parts)

    async def witnesses(self) -> list[str]:
        """The vkeys of the witnesses that have signed so far, oldest first."""
        return await self._store.witnesses()

    async def cosign(self, size: int, cosignatures: Sequence[Cosignature], now: dt.datetime) -> None:
        """Keep what witnesses signed under the checkpoint of `size` leaves.

        Raises NotFound (CHECKPOINT_NOT_FOUND) where none of that size was signed, InvalidArgument (BAD_COSIGNATURE)
        where a signature does not hold for it.
        """
        head = await self._store.signed_head(size)
        if head is None:
            message = f"No checkpoint of {size} leaves was signed."
            raise NotFound(message, reason="CHECKPOINT_NOT_FOUND", field="size")
        checkpoint = Checkpoint(self._origin, head.size, head.root)
        for cosignature in cosignatures:
            if cosignature.key.name == self._origin or not cosignature.holds(checkpoint):
                message = f"lines: that of {cosignature.key.name} does not hold for the tree of {size} leaves."
                raise InvalidArgument(message, reason="BAD_COSIGNATURE", field="lines")
        lines = [(cosignature.key.vkey, cosignature.line.render()) for cosignature in cosignatures]
        await self._store.cosign(size, lines, now)

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
        return SignedHead(head.size, head.root, head.note + head.witnessed)
