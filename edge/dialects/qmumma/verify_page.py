"""`GET /verify/{job_id}?t=<token>`: what ran and whether it is genuine, for whoever scanned a certificate."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from qm.execution.v1 import execution_pb2
from qm.signing.v1 import signing_pb2

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.ids import job_id_of, shown_anchor
from edge.dialects.qmumma.verify_html import STYLE_HASH, Finding, Verdict, Viewed, not_found_html, verdict_html
from edge.exchange import NO_STORE, Answer, Header, Request
from edge.operations import Operation, Outcome, PathField
from mesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub
    from qm.signing.v1.signing_pb2 import Check
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

    from edge.operations import Nothing

_HTML = b"text/html; charset=utf-8"
_HEADERS: list[Header] = [
    NO_STORE,
    (
        b"content-security-policy",
        f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'".encode(),
    ),
    (b"referrer-policy", b"no-referrer"),  # the address holds the token
    (b"x-robots-tag", b"noindex"),
]
_RECORD, _SIGNATURE, _LOG = ("canonical", "type", "audit_hash"), ("key", "signature"), ("leaf", "inclusion")
"""The checks of signing that each line of the page stands for."""


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The right to see the page."""

    t: Annotated[str, Meta(description="The token in the link.", max_length=64)] = ""


class VerifyPage:
    """Shows a completed job to whoever holds its token."""

    def __init__(self, execution: ExecutionServiceAsyncStub, signing: SigningServiceAsyncStub) -> None:
        """Ask `execution` for the job, and `signing` what holds."""
        self._execution = execution
        self._signing = signing

    async def show(self, request: Request[Nothing, PageQuery]) -> Answer:
        """Answer `GET /verify/{job_id}`; a wrong token, job or state looks the same."""
        job_id = job_id_of(request.path["job_id"])
        if job_id is None or not request.query.t:
            return Answer(404, not_found_html(), _HTML, list(_HEADERS))
        try:
            message = execution_pb2.ViewJobRequest(job_id=job_id, token=request.query.t)
            job = (await self._execution.ViewJob(message)).job
        except NotFound:
            return Answer(404, not_found_html(), _HTML, list(_HEADERS))
        claim = signing_pb2.VerifyRecordRequest(record=job.record, seal=job.seal)
        checks = (await self._signing.VerifyRecord(claim)).checks
        viewed = _viewed(request.path["job_id"], job, msgspec.json.decode(job.record))
        return Answer(200, verdict_html(viewed, Verdict(tuple(_findings(checks)))), _HTML, list(_HEADERS))


def _findings(checks: Sequence[Check]) -> list[Finding]:
    """The lines of the page, each made of one check or several."""
    witnesses = [check for check in checks if check.name == "witness"]
    return [
        Finding("record", *_together(checks, _RECORD)),
        Finding("signature", *_together(checks, _SIGNATURE)),
        Finding("log", *_together(checks, _LOG)),
        Finding("checkpoint", *_together(checks, ("checkpoint",))),
        Finding("witness", *_together(witnesses, ("witness",)))
        if witnesses
        else Finding("witness", None, "no witness has signed a checkpoint that covers this entry yet"),
    ]


def _together(checks: Sequence[Check], names: Sequence[str]) -> tuple[bool, str]:
    """Whether all of these checks hold, and what was found: by the first that does not, else by the last."""
    named = [check for check in checks if check.name in names]
    failed = [check for check in named if not check.ok]
    if failed or not named:
        return False, failed[0].detail if failed else "was not checked"
    return True, named[-1].detail


def _viewed(shown_id: str, job: execution_pb2.Job, record: Mapping[str, Any]) -> Viewed:
    execution = record.get("execution", {})
    return Viewed(
        job_id=shown_id,
        algorithm=str(record.get("algorithm_id", "")),
        hardware=str(record.get("hardware", "")),
        simulated=execution.get("simulated"),
        engine=f"{execution.get('engine', '')} {execution.get('engine_version', '')}".strip(),
        calibration=str(execution.get("calibration_id") or ""),
        shots=str(record.get("shots", "")),
        qubits=str(record.get("qubits_used", "")),
        fidelity=str(record.get("fidelity") or ""),
        fidelity_method=str(record.get("fidelity_method") or ""),
        executed_at=str(record.get("executed_at", "")),
        key_id=job.seal.key_id,
        audit_hash=f"sha256:{job.seal.audit_hash.hex()}",
        anchor=shown_anchor(job.seal.leaf_hash),
        signature=base64.b64encode(job.seal.signature[:24]).decode("ascii") + "…",
    )


def page_operations(page: VerifyPage) -> list[Operation]:
    """The page's route."""
    return [
        Operation(
            id="getVerifyPage",
            method="GET",
            path="/verify/{job_id}",
            handler=page.show,
            tag="Proof",
            summary="A page that says whether a result is genuine",
            description="For people: what ran, whether it was simulated, and what holds of its signature, its entry in "
            "the log and the witness. The QR code on a certificate leads here. Whoever holds the token may look.",
            path_fields=(
                PathField(
                    name="job_id",
                    description="The job.",
                    schema={"type": "string", "pattern": "^qm_job_[0-9a-f]{32}$"},
                    example=examples.COMPLETED["job_id"],
                ),
            ),
            query=PageQuery,
            outcomes=(Outcome(status=200, description="The page.", media_type="text/html"),),
            errors={404: "No job has this token; answered as a page."},
            error_pages=(404,),
            authenticated=False,
        )
    ]
