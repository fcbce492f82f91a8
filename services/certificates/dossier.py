"""Everything that proves a job, gathered: its record, its certificate, its audit trail and the keys of the day."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Sequence

import msgspec
from qm.signing.v1.signing_pb2 import ListKeysResponse
from qm.type.v1.requester_pb2 import Requester

from mesh.errors import MeshError
from mesh.telemetry import log
from services.certificates.evidence import Parts, audit_file, pack
from services.certificates.issuing import Issuer
from services.certificates.jobs import Jobs
from services.certificates.ledger import AuditLedger, Line, SealedBatch, Wanted
from services.certificates.proof import proven_record
from services.certificates.trail import Trail

MOST_ENTRIES = 1000
"""Of one job's trail in a bundle; the rest is read from the trail itself."""


class Dossiers:
    """Makes evidence bundles."""

    def __init__(self, issuer: Issuer, jobs: Jobs, ledger: AuditLedger, trail: Trail) -> None:
        """Take each part from whoever has it."""
        self._issuer = issuer
        self._jobs = jobs
        self._ledger = ledger
        self._trail = trail

    async def make(self, requester: Requester, job_id: str, framework: str) -> bytes:
        """The bundle of a completed job; raises what `Issuer.get` raises."""
        edition = await self._issuer.get(requester, job_id, framework, reissue=False)
        job = await self._jobs.proven(requester, job_id)
        try:
            await self._trail.anchor()
        except MeshError as error:
            log.warning("audit_not_anchored", reason=error.reason)  # then the bundle says which entries are not
        wanted = Wanted(uuid.UUID(requester.team_id), f"qm_job_{uuid.UUID(job_id).hex}")
        lines = await self._ledger.page(wanted, MOST_ENTRIES)
        batches = await self.batches_of(lines)
        records = await self.proven(batches)
        keys = await self._jobs.keys()
        parts = Parts(
            result=job.proven,
            parameters=job.facts.parameters,
            certificate=edition.pdf,
            audit=await asyncio.to_thread(audit_file, lines, batches, records),
            jwks=key_set(keys),
            log_keys="".join(f"{key}\n" for key in keys.log_keys).encode(),
            roots=await self._issuer.roots(),
        )
        return await asyncio.to_thread(pack, parts, edition.issue_time)

    async def batches_of(self, lines: Sequence[Line]) -> list[SealedBatch]:
        """The batches that entries are in."""
        return await self._ledger.batches(sorted({line.batch_number for line in lines if line.batch_number}))

    async def proven(self, batches: Sequence[SealedBatch]) -> dict[int, bytes]:
        """The record of each batch with its signature and the log's proof, by number."""
        anchors = await asyncio.gather(*(self._jobs.anchor(batch.seal.leaf_hash) for batch in batches))
        return {
            batch.batch.number: proven_record(batch.batch.record, batch.seal, anchor)
            for batch, anchor in zip(batches, anchors, strict=True)
        }


def key_set(keys: ListKeysResponse) -> bytes:
    """The public keys of records as a JWK set (RFC 9964)."""
    return msgspec.json.encode(
        {
            "keys": [
                {
                    "kty": "AKP",
                    "alg": "ML-DSA-65",
                    "use": "sig",
                    "kid": key.key_id,
                    "pub": base64.urlsafe_b64encode(key.public_key).rstrip(b"=").decode("ascii"),
                }
                for key in keys.keys
            ]
        }
    )
