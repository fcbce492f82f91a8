"""The RPCs of signing: check, sign, append, prove, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from qm.signing.v1 import signing_pb2 as pb

from mesh.call import Call
from mesh.errors import NotFound
from services.signing.examination import Check, Evidence, examine
from services.signing.keyring import Purpose
from services.signing.messages import (
    anchor_message,
    check_message,
    claim_of,
    key_message,
    seal_message,
    subject_of,
)
from services.signing.mldsa import Provider
from services.signing.note import NoteKey
from services.signing.reader import LogReader
from services.signing.signer import RecordSigner
from services.signing.store import SigningStore
from services.signing.writer import LogWriter


class SigningService:
    """Answers qm.signing.v1.SigningService."""

    def __init__(
        self,
        store: SigningStore,
        writer: LogWriter,
        signer: RecordSigner,
        *,
        reader: LogReader,
        provider: Provider,
        log_keys: Sequence[NoteKey],
    ) -> None:
        """Sign with `signer`, append with `writer`; `provider` verifies, and `log_keys` are the log's public ones."""
        self._store = store
        self._reader = reader
        self._writer = writer
        self._signer = signer
        self._provider = provider
        self._log_keys = log_keys

    async def SignRecord(self, request: pb.SignRecordRequest, _call: Call) -> pb.SignRecordResponse:
        """Seal a record; a repeat returns the same seal.

        Raises what `RecordSigner.sign` and `LogWriter.append` raise, and InvalidArgument (BAD_SUBJECT).
        """
        subject = subject_of(request.subject)
        signed = await self._signer.sign(request.record_type, request.record)
        return pb.SignRecordResponse(seal=seal_message(await self._writer.append(subject, signed)))

    async def GetAnchor(self, request: pb.GetAnchorRequest, _call: Call) -> pb.GetAnchorResponse:
        """Prove a leaf in the newest checkpoint. Raises NotFound (ANCHOR_NOT_FOUND)."""
        anchor = await self._reader.find_anchor(request.leaf_hash)
        if anchor is None:
            message = f"The log has no leaf {request.leaf_hash.hex()}."
            raise NotFound(message, reason="ANCHOR_NOT_FOUND", field="leaf_hash")
        return anchor_message(anchor)

    async def GetCheckpoint(self, _request: pb.GetCheckpointRequest, _call: Call) -> pb.GetCheckpointResponse:
        """Return the newest checkpoint."""
        return pb.GetCheckpointResponse(checkpoint=(await self._reader.head()).note)

    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, _call: Call
    ) -> pb.GetConsistencyProofResponse:
        """Prove that a smaller tree is a prefix of a larger one. Raises what `LogReader.prove_consistency` raises."""
        proof = await self._reader.prove_consistency(request.first_size, request.second_size)
        return pb.GetConsistencyProofResponse(hashes=proof)

    async def ListKeys(self, _request: pb.ListKeysRequest, _call: Call) -> pb.ListKeysResponse:
        """List the public keys: of records, newest first, and of the log."""
        keys = [key for key in await self._store.keys() if key.purpose is Purpose.RECORD]
        return pb.ListKeysResponse(keys=map(key_message, keys), log_keys=[key.vkey for key in self._log_keys])

    async def VerifyRecord(self, request: pb.VerifyRecordRequest, _call: Call) -> pb.VerifyRecordResponse:
        """Check a record and its seal, claim by claim; what does not hold is an answer, not an error."""
        claim = claim_of(request)
        records = (key for key in await self._store.keys() if key.purpose is Purpose.RECORD)
        key = next((key.public_key() for key in records if key.key_id == claim.key_id), None)
        anchor = await self._reader.find_anchor(claim.leaf_hash)
        evidence = Evidence(key, anchor, self._log_keys)

        def checks() -> list[Check]:
            return list(examine(claim, evidence, self._provider))

        return pb.VerifyRecordResponse(checks=map(check_message, await asyncio.to_thread(checks)))
