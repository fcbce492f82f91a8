"""Quotes over HTTP: what a job would be like, at a price that holds. The answer is the signed record, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from qm.execution.v1 import execution_pb2 as pb
from qm.type.v1.requester_pb2 import Environment

from edge.dialects.qmumma.decisions import PredictedFidelity
from edge.dialects.qmumma.idempotency import fingerprint, idempotency_key, own_key
from edge.dialects.qmumma.ids import QUOTE_ID_PATTERN
from edge.dialects.qmumma.jobs import SUBMIT_SECONDS, submission
from edge.dialects.qmumma.objectives import BackendKind
from edge.dialects.qmumma.rendering import sealed_body
from edge.dialects.qmumma.requests import JobPriority, QuoteJob
from edge.dialects.qmumma.scalars import Anchor, Cost, Extent, Hash, Moment, Name, Positive, Sentence, Signature
from edge.exchange import JSON, NO_STORE, REPLAYED, Answer, Request
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub


class QuotedTime(msgspec.Struct):
    """A predicted time in milliseconds, as two quantiles."""

    p50: Annotated[Extent, Meta(description="Half of such jobs take less.", examples=[31.2])]
    p90: Annotated[Extent, Meta(description="Nine of ten take less.", examples=[77.9])]


class QuotedAlternative(msgspec.Struct, kw_only=True):
    """A backend that was not chosen."""

    hardware: Annotated[Name, Meta(description="Its id.", examples=["sim.mps"])]
    kind: Annotated[BackendKind, Meta(description="What really runs.")]
    eligible: Annotated[bool, Meta(description="Whether it could run the job.")]
    reason: Annotated[Sentence, Meta(description="Why it was not chosen.")]
    estimated_ms: Annotated[QuotedTime, Meta(description="Absent where it could not run the job.")] | UnsetType = UNSET
    predicted_fidelity: Annotated[PredictedFidelity, Meta(description="Likewise.")] | UnsetType = UNSET
    backend_cost_usd: Annotated[Cost, Meta(description="What it adds to the algorithm's price.")] | UnsetType = UNSET


class Quote(msgspec.Struct, kw_only=True):
    """What a job would be like. All members but the last four are signed."""

    type: Annotated[Literal["qmumma.quote/v1"], Meta(description="Of the record; the signature's context.")]
    quote_id: Annotated[
        str,
        Meta(
            description="For `quote_id` of a submission of the same body.",
            pattern=QUOTE_ID_PATTERN,
            examples=["qm_quote_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
        ),
    ]
    created_at: Annotated[Moment, Meta(description="When it was made.")]
    expires_at: Annotated[Moment, Meta(description="Until when it holds.")]
    algorithm_id: Annotated[Name, Meta(description="The algorithm.")]
    parameters_hash: Annotated[Hash, Meta(description="SHA-256 of the parameters' RFC 8785 form, defaults included.")]
    shots: Annotated[Positive, Meta(description="How often each circuit would be measured.")]
    priority: Annotated[JobPriority, Meta(description="The queue.")]
    hardware: Annotated[Name, Meta(description="The backend that would run it.", examples=["sim.statevector"])]
    kind: Annotated[BackendKind, Meta(description="What would really run.")]
    cost_usd: Annotated[Cost, Meta(description="The most that a job by this quote costs.", examples=[50.0])]
    estimated_ms: Annotated[QuotedTime, Meta(description="Queue and run.")]
    predicted_fidelity: Annotated[PredictedFidelity, Meta(description="Of the result.")]
    reason: Annotated[Sentence, Meta(description="Why this backend, in words.")]
    alternatives: Annotated[list[QuotedAlternative], Meta(description="The others, best first.", max_length=1000)]
    decision_id: Annotated[Name, Meta(description="What the operator replays the choice by.")]
    pqc_signature: Annotated[Signature, Meta(description="Base64 of the ML-DSA-65 signature (FIPS 204) of the record.")]
    key_id: Annotated[Name, Meta(description="The signing key, in `/.well-known/jwks.json`.")]
    audit_hash: Annotated[Hash, Meta(description="SHA-256 of the record's RFC 8785 form.")]
    blockchain_anchor: Annotated[Anchor, Meta(description="The log entry.")]


class Quotes:
    """The operation on quotes."""

    def __init__(self, execution: ExecutionServiceAsyncStub) -> None:
        """Call `execution`."""
        self._execution = execution

    async def quote(self, request: Request[QuoteJob, Nothing]) -> Answer:
        """Answer `POST /v1/jobs/quote`."""
        key = idempotency_key(request.headers)
        message = submission(request.body)
        message.requester.CopyFrom(request.requester)
        message.request_id = key or own_key()
        asked = f"POST /v1/jobs/quote {Environment.Name(request.requester.environment)}"
        message.fingerprint = fingerprint(asked, request.parsed_body)
        response = await self._execution.QuoteJob(pb.QuoteJobRequest(job=message), timeout=SUBMIT_SECONDS)
        headers = [NO_STORE, *([REPLAYED] if key is not None and response.replayed else [])]
        quote = response.quote
        return Answer(201, sealed_body(quote.record, quote.seal), JSON, headers)
