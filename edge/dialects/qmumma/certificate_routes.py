"""The declarations of the operations on certificates, evidence and the audit trail."""

from __future__ import annotations

import json

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.certificates import AuditPage, Certificates, ReadAudit, ReadCertificate, ReadEvidence
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.ids import JOB_ID_PATTERN
from edge.operations import Operation, Outcome, PathField

_JOB_ID = PathField(
    name="job_id",
    description="The job's id. A job of another team does not exist for you.",
    schema={"type": "string", "pattern": JOB_ID_PATTERN},
    example=examples.JOB_ID,
)
_REFUSALS = {
    400: "`framework` is none that there is; the message names them.",
    403: "The plan has no certificates: they come with commercial and enterprise.",
    404: "There is no such job, or it belongs to another team.",
    409: "The job is not completed.",
    503: "The document could not be made in time, or a part of the service does not answer. Try again.",
}
_SAVED = {"Content-Disposition": "A name to save it under."}
_SAID = {
    "action": "job.submitted",
    "address": "198.51.100.9",
    "details": {"algorithm_id": "vqe.molecular.v2"},
    "event_id": "0199d1c2-7d3e-7c55-9f5a-3c0f5d2b7a10",
    "key_id": "0199d1c2-0000-7000-8000-000000000002",
    "object_id": examples.JOB_ID,
    "outcome": "succeeded",
    "position": 1,
    "previous": "sha256:" + 64 * "0",
    "request_id": "order-17",
    "service": "execution",
    "team_id": "0199d1c2-0000-7000-8000-000000000001",
    "time": "2026-11-21T17:00:00.000000Z",
    "type": "qmumma.audit_entry/v1",
    "user_id": "0199d1c2-0000-7000-8000-000000000003",
}
_ENTRY = {"entry": _SAID, "batch": None, "leaf_index": None, "inclusion": None}
_ANCHORED = {**_ENTRY, "batch": 7, "leaf_index": 3, "inclusion": [64 * "a"]}
_CSV = (
    '"position","time","action","object_id","outcome","user_id","key_id","service","request_id","address","details",'
    '"event_id","previous","batch"\r\n'
    f'"1","{_SAID["time"]}","job.submitted","{examples.JOB_ID}","succeeded",'
    f'"{_SAID["user_id"]}","{_SAID["key_id"]}","execution","order-17","198.51.100.9",'
    f'"algorithm_id=vqe.molecular.v2","{_SAID["event_id"]}","{_SAID["previous"]}",""\r\n'
)


def certificate_operations(certificates: Certificates) -> list[Operation]:
    """Certificates, evidence, roots and the audit trail."""
    return [_get(certificates), _evidence(certificates), _roots(certificates), _audit(certificates)]


def _get(certificates: Certificates) -> Operation:
    return Operation(
        id="getCertificate",
        method="GET",
        path="/v1/jobs/{job_id}/certificate",
        handler=certificates.get,
        tag="Certificates",
        summary="Download a certificate",
        description="A PDF/A-3b document that says what ran, on what, with which result and fidelity, with the signed "
        "record and its proof inside. It is sealed twice: with ECDSA, which today's viewers check, and with ML-DSA-65, "
        "which covers the first. `qmumma verify` checks every byte offline. The seals attest origin and integrity and "
        "are no person's signature; the document supports an audit and certifies nobody.",
        query=ReadCertificate,
        path_fields=(_JOB_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The document.",
                media_type="application/pdf",
                headers={"ETag": "Its SHA-256, in hexadecimal.", **_SAVED},
                examples=one("A PDF", "%PDF-1.7 …"),
            ),
        ),
        errors=_REFUSALS,
    )


def _evidence(certificates: Certificates) -> Operation:
    return Operation(
        id="getEvidence",
        method="GET",
        path="/v1/jobs/{job_id}/evidence",
        handler=certificates.evidence,
        tag="Certificates",
        summary="Download everything that proves a job",
        description="A ZIP archive: the signed record with its proof, the parameters, the certificate, the job's audit "
        "trail with its anchors in the log, and the public keys of the day. `qmumma verify` checks it offline.",
        query=ReadEvidence,
        path_fields=(_JOB_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The archive.",
                media_type="application/zip",
                headers=_SAVED,
                examples=one("An archive", "PK…"),
            ),
        ),
        errors=_REFUSALS,
    )


def _roots(certificates: Certificates) -> Operation:
    return Operation(
        id="getCertificateRoots",
        method="GET",
        path="/v1/certificates/roots",
        handler=certificates.roots,
        tag="Certificates",
        summary="X.509 roots of the digital seals",
        description="One for ECDSA P-256 and one for ML-DSA-65, and those before them. Keep them from a day that you "
        "trust: certificates are checked against them.",
        outcomes=(
            Outcome(
                status=200,
                description="The certificates, PEM.",
                media_type="application/x-pem-file",
                examples=one("A root", "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"),
            ),
        ),
        authenticated=False,
    )


def _audit(certificates: Certificates) -> Operation:
    return Operation(
        id="listAuditEntries",
        method="GET",
        path="/v1/audit",
        handler=certificates.audit,
        tag="Certificates",
        summary="Read the audit trail",
        description="Who did what, when, to which job, key or certificate of the team: append-only, each entry linked "
        "by hash to the one before, and anchored in the log in batches some seconds later.",
        query=ReadAudit,
        outcomes=(
            Outcome(
                status=200,
                description="A page, oldest first. `format` decides: JSON, `application/x-ndjson` or `text/csv`.",
                kind=AuditPage,
                also={"application/x-ndjson": f"{json.dumps(_ANCHORED)}\n", "text/csv": _CSV},
                examples=one(
                    "Two entries, the newer not anchored yet",
                    {
                        "type": "qmumma.audit_export/v1",
                        "entries": [_ANCHORED, _ENTRY],
                        "batches": {},
                        "has_more": False,
                    },
                ),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it.", 403: "Only owners and admins of the team may."},
    )
