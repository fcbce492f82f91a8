"""A quote: what a job would be like, sealed, at a price that holds for some minutes. Pure.

The record's members are those of the public answer, so that its reader can check the seal without asking anyone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any, NewType

import rfc8785
from google.protobuf.duration_pb2 import Duration
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2

from mesh.errors import Conflict, NotFound
from services.execution.job import JobId, Priority
from services.execution.job import public_id as public_job_id
from services.execution.record import MICROS, rfc3339

QuoteId = NewType("QuoteId", uuid.UUID)
RECORD_TYPE = "qmumma.quote/v1"
_KINDS = {
    routing_pb2.BACKEND_KIND_SIMULATOR: "simulator",
    routing_pb2.BACKEND_KIND_TWIN: "twin",
    routing_pb2.BACKEND_KIND_LIVE: "live",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote as it is kept."""

    quote_id: QuoteId
    team_id: str
    request_id: str
    """Unique in the team: a repeat finds this quote."""
    fingerprint: bytes
    """SHA-256 of the public request; a repeat has to match it."""
    terms: bytes
    """SHA-256 of what a job by this quote has to be."""
    decision: routing_pb2.Decision
    price: int
    """The list price, in micro-dollars."""
    cost: int
    """The most that the job costs its team, in micro-dollars."""
    create_time: dt.datetime
    expire_time: dt.datetime
    record: bytes = field(repr=False)
    seal: signing_pb2.Seal


def terms_of(request: pb.SubmitJobRequest, parameters: bytes) -> bytes:
    """What a job has to be to go by a quote: all of the request but who sends it and when; `parameters` canonical."""
    terms = pb.SubmitJobRequest()
    terms.CopyFrom(request)
    for name in ("requester", "request_id", "fingerprint", "quote_id", "parameters"):
        terms.ClearField(name)
    who = f"{request.requester.environment} {request.requester.plan}".encode()
    return hashlib.sha256(b"\x00".join((who, terms.SerializeToString(deterministic=True), parameters))).digest()


def require_terms(quote: Quote, terms: bytes, now: dt.datetime) -> None:
    """Raise Conflict where a job does not go by a quote, or goes too late."""
    if quote.terms != terms:
        message = "quote_id: the quote is for another request; send the body that was quoted, with quote_id added"
        raise Conflict(message, reason="QUOTE_OF_ANOTHER_REQUEST", field="quote_id")
    if now >= quote.expire_time:
        message = f"quote_id: the quote expired at {rfc3339(quote.expire_time)}; ask for another one"
        raise Conflict(message, reason="QUOTE_EXPIRED", field="quote_id")


def quote_not_found() -> NotFound:
    """What another team's quote and no quote at all look like."""
    return NotFound("quote_id: there is no such quote in your team", reason="QUOTE_NOT_FOUND", field="quote_id")


def quote_used(job_id: JobId) -> Conflict:
    """What is said to a second job by the same quote."""
    message = f"quote_id: the quote was used for {public_job_id(job_id)}, and is for one job; ask for another quote"
    return Conflict(message, reason="QUOTE_USED", field="quote_id")


def build_record(  # noqa: PLR0913 - what is signed
    quote_id: QuoteId,
    request: pb.SubmitJobRequest,
    parameters: bytes,
    decision: routing_pb2.Decision,
    *,
    cost: int,
    create_time: dt.datetime,
    expire_time: dt.datetime,
) -> bytes:
    """The record of a quote, canonical JSON (RFC 8785)."""
    backend, estimate = decision.backend, decision.estimate
    members: dict[str, Any] = {
        "type": RECORD_TYPE,
        "quote_id": public_id(quote_id),
        "created_at": rfc3339(create_time),
        "expires_at": rfc3339(expire_time),
        "algorithm_id": request.algorithm_id,
        "parameters_hash": f"sha256:{hashlib.sha256(parameters).hexdigest()}",
        "shots": request.shot_count,
        "priority": Priority(request.priority).word,
        "hardware": backend.backend_id,
        "kind": _KINDS[backend.kind],
        "cost_usd": cost / MICROS,
        "estimated_ms": _times(estimate),
        "predicted_fidelity": _fidelity(estimate),
        "reason": decision.reason,
        "alternatives": [_alternative(each) for each in decision.alternatives],
        "decision_id": decision.decision_id,
    }
    return rfc8785.dumps(members)


def public_id(quote_id: QuoteId) -> str:
    """The quote's name in the Q-MUMMA dialect and in its record."""
    return f"qm_quote_{quote_id.hex}"


def _alternative(other: routing_pb2.Alternative) -> dict[str, Any]:
    told: dict[str, Any] = {
        "hardware": other.backend_id,
        "kind": _KINDS[other.kind],
        "eligible": other.eligible,
        "reason": other.reason,
    }
    if other.HasField("estimate"):
        told["estimated_ms"] = _times(other.estimate)
        told["predicted_fidelity"] = _fidelity(other.estimate)
        told["backend_cost_usd"] = other.estimate.price.micros / MICROS
    return told


def _times(estimate: routing_pb2.Estimate) -> dict[str, float]:
    return {"p50": _milliseconds(estimate.duration_p50), "p90": _milliseconds(estimate.duration_p90)}


def _fidelity(estimate: routing_pb2.Estimate) -> dict[str, Any]:
    return {
        "value": estimate.fidelity,
        "low": estimate.fidelity_low,
        "high": estimate.fidelity_high,
        "method": estimate.fidelity_method,
        "calibration_id": estimate.calibration_id or None,
    }


def _milliseconds(span: Duration) -> float:
    return round(span.ToTimedelta().total_seconds() * 1000, 3)
