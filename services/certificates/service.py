"""The RPCs of certificates: check, call, answer."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence

from qm.certificates.v1 import certificates_pb2 as pb

from mesh.call import Call
from mesh.errors import InvalidArgument
from services.certificates.dossier import Dossiers
from services.certificates.issuing import Issuer
from services.certificates.jobs import Jobs
from services.certificates.ledger import AuditLedger, Line, SealedBatch, Wanted
from services.certificates.tree import levels_of, path_of


class CertificatesService:
    """Answers qm.certificates.v1.CertificatesService."""

    def __init__(self, issuer: Issuer, dossiers: Dossiers, ledger: AuditLedger, jobs: Jobs) -> None:
        """Issue with `issuer`; read the trail from `ledger`; `jobs` knows who may."""
        self._jobs = jobs
        self._issuer = issuer
        self._dossiers = dossiers
        self._ledger = ledger

    async def GetCertificate(self, request: pb.GetCertificateRequest, _call: Call) -> pb.GetCertificateResponse:
        """Return a certificate; raises what `Issuer.get` raises."""
        edition = await self._issuer.get(
            request.requester, _job_id(request.job_id), request.framework, reissue=request.reissue
        )
        response = pb.GetCertificateResponse(
            pdf=edition.pdf,
            number=edition.number,
            edition=edition.edition,
            framework=edition.framework,
            sha256=hashlib.sha256(edition.pdf).digest(),
        )
        response.issue_time.FromDatetime(edition.issue_time)
        return response

    async def GetEvidence(self, request: pb.GetEvidenceRequest, _call: Call) -> pb.GetEvidenceResponse:
        """Return everything that proves a job; raises what `Issuer.get` raises."""
        archive = await self._dossiers.make(request.requester, _job_id(request.job_id), request.framework)
        return pb.GetEvidenceResponse(archive=archive)

    async def ListRoots(self, _request: pb.ListRootsRequest, _call: Call) -> pb.ListRootsResponse:
        """Return the roots of the seals."""
        return pb.ListRootsResponse(pem=await self._issuer.roots())

    async def ListAuditEntries(self, request: pb.ListAuditEntriesRequest, _call: Call) -> pb.ListAuditEntriesResponse:
        """Return a page of the team's trail. Raises PermissionDenied (ROLE_TOO_LOW)."""
        await self._jobs.require_admin(request.requester)
        wanted = Wanted(
            uuid.UUID(request.requester.team_id), request.object_id, request.actor_id, request.after_position
        )
        lines = await self._ledger.page(wanted, request.page_size + 1)
        page = lines[: request.page_size]
        batches = await self._dossiers.batches_of(page)
        entries = await asyncio.to_thread(_entries, page, batches)
        return pb.ListAuditEntriesResponse(
            entries=entries,
            batches=[
                pb.AuditBatch(number=number, proven_record=record)
                for number, record in (await self._dossiers.proven(batches)).items()
            ],
            has_more=len(lines) > len(page),
        )


def _entries(lines: Sequence[Line], batches: Sequence[SealedBatch]) -> list[pb.AuditEntry]:
    levels = {batch.batch.number: levels_of(batch.hashes) for batch in batches}
    return [
        pb.AuditEntry(
            canonical=line.canonical,
            batch_number=line.batch_number,
            leaf_index=line.leaf_index,
            inclusion=path_of(levels[line.batch_number], line.leaf_index) if line.batch_number else (),
        )
        for line in lines
    ]


def _job_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgument(f"{text[:64]!r} is no job id", reason="INVALID_FIELD", field="job_id") from None
