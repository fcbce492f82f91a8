"""The RPCs of signing: check, sign, append, prove, answer."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from qm.signing.v1 import signing_pb2 as pb

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound
from services.signing.cosignature import parse_vkey, read_cosignatures
from services.signing.custodian import Custodian
from services.signing.examination import Check, Evidence, examine
from services.signing.messages import (
    anchor_message,
    check_message,
    claim_of,
    key_message,
    order_of,
    seal_message,
    subject_of,
    timestamp_message,
)
from services.signing.mldsa import Provider
from services.signing.note import BadNoteError
from services.signing.reader import LogReader
from services.signing.signer import RecordSigner
from services.signing.writer import LogWriter


class SigningService:
    """Answers qm.signing.v1.SigningService."""

    def __init__(
        self,
        writer: LogWriter,
        signer: RecordSigner,
        *,
        reader: LogReader,
        provider: Provider,
        custodian: Custodian,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Sign with `signer`, append with `writer`; `provider` verifies; `clock` tells the time in UTC."""
        self._reader = reader
        self._writer = writer
        self._signer = signer
        self._provider = provider
        self._custodian = custodian
        self._clock = clock

    async def SignRecord(self, request: pb.SignRecordRequest, _call: Call) -> pb.SignRecordResponse:
        """Seal a record; a repeat returns the same seal.

        Raises what `RecordSigner.sign` and `LogWriter.append` raise, and InvalidArgument (BAD_SUBJECT).
        """
        subject = subject_of(request.subject)
        signed = await self._signer.sign(request.record_type, request.record)
        return pb.SignRecordResponse(seal=seal_message(await self._writer.append(subject, signed)))

    async def PrepareRecord(self, request: pb.PrepareRecordRequest, _call: Call) -> pb.PrepareRecordResponse:
        """Sign a record ahead. Raises what `RecordSigner.sign` raises."""
        await self._signer.prepare(request.record_type, request.record)
        return pb.PrepareRecordResponse()

    async def GetAnchor(self, request: pb.GetAnchorRequest, _call: Call) -> pb.GetAnchorResponse:
        """Prove a leaf in the newest checkpoint. Raises NotFound (ANCHOR_NOT_FOUND)."""
        anchor = await self._reader.find_anchor(request.leaf_hash)
        if anchor is None:
            message = f"The log has no leaf {request.leaf_hash.hex()}."
            raise NotFound(message, reason="ANCHOR_NOT_FOUND", field="leaf_hash")
        return anchor_message(anchor)

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, _call: Call) -> pb.GetCheckpointResponse:
        """Return the newest checkpoint, or the newest one that was witnessed; raises NotFound (NOT_WITNESSED)."""
        head = await (self._reader.witnessed_head() if request.witnessed else self._reader.head())
        return pb.GetCheckpointResponse(checkpoint=head.note)

    async def GetTile(self, request: pb.GetTileRequest, _call: Call) -> pb.GetTileResponse:
        """Return a tile or a bundle of entries. Raises NotFound (TILE_NOT_FOUND)."""
        return pb.GetTileResponse(data=await self._reader.tile(request.path))

    async def ListTimestamps(self, _request: pb.ListTimestampsRequest, _call: Call) -> pb.ListTimestampsResponse:
        """List what calendars outside said of checkpoints, newest first."""
        return pb.ListTimestampsResponse(timestamps=map(timestamp_message, await self._reader.timestamps()))

    async def AddCosignature(self, request: pb.AddCosignatureRequest, _call: Call) -> pb.AddCosignatureResponse:
        """Keep a witness's lines. Raises InvalidArgument (BAD_COSIGNATURE) and NotFound (CHECKPOINT_NOT_FOUND)."""
        try:
            cosignatures = read_cosignatures(request.lines, request.keys)
        except BadNoteError as error:
            raise InvalidArgument(f"lines: {error}.", reason="BAD_COSIGNATURE", field="lines") from error
        await self._reader.cosign(request.size, cosignatures, self._clock())
        return pb.AddCosignatureResponse()

    async def RotateKey(self, request: pb.RotateKeyRequest, _call: Call) -> pb.RotateKeyResponse:
        """Make the next key of records, and tell the log. Raises what `rotation.rotate` raises."""
        key = await self._custodian.rotate(order_of(request), self._writer)
        return pb.RotateKeyResponse(key=key_message(key, self._clock()))

    async def ListRotations(self, _request: pb.ListRotationsRequest, _call: Call) -> pb.ListRotationsResponse:
        """List what the log was told of new keys, oldest first."""
        rotations = await self._custodian.rotations()
        return pb.ListRotationsResponse(
            rotations=[pb.Rotation(record=record, seal=seal_message(seal)) for record, seal in rotations]
        )

    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, _call: Call
    ) -> pb.GetConsistencyProofResponse:
        """Prove that a smaller tree is a prefix of a larger one. Raises what `LogReader.prove_consistency` raises."""
        proof = await self._reader.prove_consistency(request.first_size, request.second_size)
        return pb.GetConsistencyProofResponse(hashes=proof)

    async def ListKeys(self, _request: pb.ListKeysRequest, _call: Call) -> pb.ListKeysResponse:
        """List the public keys: of records, newest first, of the log and of its witnesses."""
        now, keys = self._clock(), reversed(await self._custodian.record_keys())
        return pb.ListKeysResponse(
            keys=[key_message(key, now) for key in keys],
            log_keys=[key.vkey for key in self._custodian.ring.log_keys()],
            witness_keys=await self._reader.witnesses(),
        )

    async def VerifyRecord(self, request: pb.VerifyRecordRequest, _call: Call) -> pb.VerifyRecordResponse:
        """Check a record and its seal, claim by claim; what does not hold is an answer, not an error."""
        claim = claim_of(request)
        records = await self._custodian.record_keys()
        key = next((key.public_key() for key in records if key.key_id == claim.key_id), None)
        anchor = await self._reader.find_anchor(claim.leaf_hash)
        witnesses = [parse_vkey(vkey) for vkey in await self._reader.witnesses()]
        evidence = Evidence(key, anchor, self._custodian.ring.log_keys(), witnesses)

        def checks() -> list[Check]:
            return list(examine(claim, evidence, self._provider))

        return pb.VerifyRecordResponse(checks=map(check_message, await asyncio.to_thread(checks)))
