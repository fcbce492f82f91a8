"""Certificates, evidence and the audit trail over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta
from qm.certificates.v1 import certificates_pb2 as pb

from edge.dialects.qmumma.audit_export import as_csv, as_json, as_ndjson
from edge.dialects.qmumma.ids import kept_id_of
from edge.dialects.qmumma.jobs import path_job_id
from edge.dialects.qmumma.scalars import Count
from edge.exchange import NO_STORE, Answer, Header, Request
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.certificates.v1.certificates_pb2_grpc import CertificatesServiceAsyncStub

PRINT_SECONDS = 25.0
"""How long a document may take: a little more than certificates gives its press."""
PDF = b"application/pdf"
ZIP = b"application/zip"
PEM = b"application/x-pem-file"
_ROOTS_CACHE: Header = (b"cache-control", b"public, max-age=300")
_PLAIN = "^[^\\x00-\\x1f]*$(?!\\n)"
_FRAMEWORK = Meta(
    description="The layout and checklist: `generic`, `fda-21cfr11`, `sec-17a-4` or `iso-27001`, and what the operator "
    "has added. Every layout of a job's certificate has the same number.",
    pattern="^[a-z0-9-]{2,32}$",
    examples=["fda-21cfr11"],
)


class ReadCertificate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which certificate of a job."""

    framework: Annotated[str, _FRAMEWORK] = "generic"
    edition: Annotated[
        Literal["newest", "new"],
        Meta(
            description="`newest` is the one that there is, byte for byte, or the first; `new` issues one of today, "
            "under the same number. Each is in the audit trail."
        ),
    ] = "newest"


class ReadEvidence(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which certificate goes into the bundle."""

    framework: Annotated[str, _FRAMEWORK] = "generic"


class ReadAudit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part of the team's audit trail."""

    object: Annotated[
        str,
        Meta(
            description="The thing that it was done to, or the job that it has to do with.",
            max_length=128,
            pattern=_PLAIN,
        ),
    ] = ""
    actor: Annotated[
        str, Meta(description="The key or the user for whom it was done, by id.", max_length=64, pattern=_PLAIN)
    ] = ""
    after: Annotated[
        int, Meta(description="The position that the page begins after; 0 for the beginning.", ge=0, le=2**53 - 1)
    ] = 0
    limit: Annotated[int, Meta(description="How many entries at most.", ge=1, le=1000)] = 100
    format: Annotated[
        Literal["json", "ndjson", "csv"],
        Meta(description="`json` with the log's proof, for `qmumma verify`; `ndjson`, an entry a line; `csv`."),
    ] = "json"


class AuditEntry(msgspec.Struct, kw_only=True):
    """An entry and its place in the log."""

    entry: Annotated[
        dict[str, Any], Meta(description="What was done, with the hash of the team's entry before, as it was hashed.")
    ]
    batch: Annotated[
        Count | None, Meta(description="The batch that it is in; null while the log does not have it yet.")
    ]
    leaf_index: Annotated[Count | None, Meta(description="Entries of the batch before it.")]
    inclusion: Annotated[
        Annotated[list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(max_length=64)] | None,
        Meta(description="Hexadecimal hashes from the entry up to the batch's root (RFC 6962, 2.1.1)."),
    ]


class AuditPage(msgspec.Struct, kw_only=True):
    """A page of the audit trail, oldest first."""

    type: Annotated[Literal["qmumma.audit_export/v1"], Meta(description="What this file is.")]
    entries: Annotated[list[AuditEntry], Meta(description="The entries.", max_length=1000)]
    batches: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="By number, the signed record of each batch (`qmumma.audit/v1`) with its proof in the log."),
    ]
    has_more: Annotated[bool, Meta(description="Whether there are more; go on after the last `position`.")]


class Certificates:
    """The operations on certificates."""

    def __init__(self, certificates: CertificatesServiceAsyncStub) -> None:
        """Call `certificates`, which makes them."""
        self._certificates = certificates

    async def get(self, request: Request[Nothing, ReadCertificate]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}/certificate`."""
        found = await self._certificates.GetCertificate(
            pb.GetCertificateRequest(
                requester=request.requester,
                job_id=path_job_id(request),
                framework=request.query.framework,
                reissue=request.query.edition == "new",
            ),
            timeout=PRINT_SECONDS,
        )
        name = f"{found.number}-{found.framework}-{found.edition}.pdf"
        return Answer(200, found.pdf, PDF, [*_saved_as(name), (b"etag", b'"%s"' % found.sha256.hex().encode())])

    async def evidence(self, request: Request[Nothing, ReadEvidence]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}/evidence`."""
        found = await self._certificates.GetEvidence(
            pb.GetEvidenceRequest(
                requester=request.requester, job_id=path_job_id(request), framework=request.query.framework
            ),
            timeout=PRINT_SECONDS,
        )
        return Answer(200, found.archive, ZIP, _saved_as(f"{request.path['job_id']}-evidence.zip"))

    async def roots(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/certificates/roots`."""
        found = await self._certificates.ListRoots(pb.ListRootsRequest())
        return Answer(200, found.pem, PEM, [_ROOTS_CACHE])

    async def audit(self, request: Request[Nothing, ReadAudit]) -> Answer:
        """Answer `GET /v1/audit`."""
        query = request.query
        page = await self._certificates.ListAuditEntries(
            pb.ListAuditEntriesRequest(
                requester=request.requester,
                object_id=kept_id_of(query.object),
                actor_id=kept_id_of(query.actor),
                after_position=query.after,
                page_size=query.limit,
            )
        )
        match query.format:
            case "json":
                return Answer(200, as_json(page), headers=[NO_STORE])
            case "ndjson":
                return Answer(200, as_ndjson(page), b"application/x-ndjson", _saved_as("audit.ndjson"))
            case _:
                return Answer(200, as_csv(page), b"text/csv; charset=utf-8", _saved_as("audit.csv"))


def _saved_as(name: str) -> list[Header]:
    return [NO_STORE, (b"content-disposition", f'attachment; filename="{name}"'.encode())]
