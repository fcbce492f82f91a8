"""The witness's one story: look at the log's newest checkpoint, and sign it if it extends the last one it signed.

It remembers before it signs. What contradicts its memory it never signs: it keeps the checkpoint as evidence, says so
at every look, and waits for a person.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from qm.signing.v1 import signing_pb2 as pb
from qmumma.exact import UnreadableError
from qmumma.merkle import EMPTY_ROOT, Tree, grows_into
from qmumma.note import Checkpoint, parse_checkpoint, parse_log_keys

from mesh.errors import MeshError
from services.witness.key import WitnessKey
from services.witness.memory import Memory, keep, keep_evidence

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

log = structlog.get_logger()
MISSES_OF_A_START = 10
"""Looks in a row at a log that does not answer, before that is worth a warning: it may just be starting."""


class DistrustError(Exception):
    """The log contradicts itself or its keys. `kind` is a word for it: signature, origin, rollback, fork."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Witness:
    """Looks and signs."""

    def __init__(
        self,
        signing: SigningServiceAsyncStub,
        key: WitnessKey,
        memory: Memory,
        *,
        folder: Path,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Watch the log of `signing`, going on from `memory`, which is kept in `folder`."""
        self._signing = signing
        self._key = key
        self._memory = memory
        self._folder = folder
        self._clock = clock
        self._signed = -1  # the size that the log has our lines for, as far as we know

    async def watch(self, pause: float) -> None:
        """Look for ever, `pause` seconds apart; a log that is away or distrusted is looked at again."""
        missed = 0
        while True:
            try:
                await self.look()
                missed = 0
            except MeshError as error:
                missed += 1
                say = log.warning if missed > MISSES_OF_A_START else log.info
                say("log_not_seen", reason=error.reason, looks=missed)
            except DistrustError as error:
                missed = 0
                log.error("log_distrusted", kind=error.kind, detail=str(error))  # noqa: TRY400 - no fault of ours
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Look once. Raises MeshError where the log does not answer, DistrustError where it must not be signed."""
        note = (await self._signing.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint
        memory = self._memory if self._memory.log_keys else await self._first_keys()
        checkpoint = read_checkpoint(note, memory)
        tree = Tree(checkpoint.size, checkpoint.root)
        if tree == memory.tree and checkpoint.size == self._signed:
            return
        try:
            await self._require_growth(memory.tree, tree)
        except DistrustError as error:
            file = await asyncio.to_thread(keep_evidence, self._folder, note)
            raise DistrustError(error.kind, f"{error}; kept as {file}") from error
        grown = Memory(checkpoint.origin, memory.log_keys, tree.size, tree.root, note)
        if grown != self._memory:
            await asyncio.to_thread(keep, self._folder, grown)
            self._memory = grown
        await self._sign(checkpoint)

    async def _first_keys(self) -> Memory:
        """The log's keys as it tells them, where none were configured: trusted from now on."""
        keys = tuple((await self._signing.ListKeys(pb.ListKeysRequest())).log_keys)
        log.warning("log_keys_trusted_at_first_sight", keys=["+".join(key.split("+", 2)[:2]) for key in keys])
        return Memory(log_keys=keys)

    async def _require_growth(self, old: Tree, new: Tree) -> None:
        if new.size < old.size:
            message = f"the log has {new.size} leaves, and had {old.size}"
            raise DistrustError("rollback", message)
        if new.size == old.size and new.root != old.root:
            message = f"the log has another root for {new.size} leaves than it had"
            raise DistrustError("fork", message)
        if new.size == 0 and new.root != EMPTY_ROOT:
            message = "the empty log has a root that is not that of the empty tree"
            raise DistrustError("fork", message)
        request = pb.GetConsistencyProofRequest(first_size=old.size, second_size=new.size)
        proof = (await self._signing.GetConsistencyProof(request)).hashes if 0 < old.size < new.size else ()
        if not grows_into(old, new, proof):
            message = f"no proof leads from the tree of {old.size} leaves to that of {new.size}"
            raise DistrustError("fork", message)

    async def _sign(self, checkpoint: Checkpoint) -> None:
        lines = await asyncio.to_thread(self._key.sign, checkpoint, int(self._clock().timestamp()))
        message = pb.AddCosignatureRequest(size=checkpoint.size, lines=lines, keys=self._key.vkeys)
        await self._signing.AddCosignature(message)
        self._signed = checkpoint.size
        log.debug("checkpoint_signed", size=checkpoint.size)


def read_checkpoint(note: str, memory: Memory) -> Checkpoint:
    """The checkpoint in a note; DistrustError unless it is one of the log in memory, signed with each of its keys."""
    try:
        checkpoint = parse_checkpoint(note)
        keys = parse_log_keys("\n".join(memory.log_keys), "the log's keys")
    except (ValueError, UnreadableError) as error:
        raise DistrustError("signature", f"the log's checkpoint cannot be read: {error}") from error
    for key in keys:
        lines = checkpoint.lines_of(key)
        if not lines or not all(key.verifies(checkpoint, line.signature) for line in lines):
            message = f"the checkpoint of {checkpoint.size} leaves is not signed by {key}"
            raise DistrustError("signature", message)
    if checkpoint.origin not in {memory.origin or checkpoint.origin} & {key.name for key in keys}:
        message = f"the checkpoint is of {checkpoint.origin}, and the log is {memory.origin or keys[0].name}"
        raise DistrustError("origin", message)
    return checkpoint
