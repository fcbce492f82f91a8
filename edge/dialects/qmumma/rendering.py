"""From the mesh's messages to the words of the Q-MUMMA dialect. Pure renaming and converting."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from qm.execution.v1 import execution_pb2

from edge.dialects.qmumma.answers import (
    Alternative,
    JobFailure,
    JobSummary,
    Progress,
    Proof,
    RoutingNote,
    SubmittedJob,
)
from edge.dialects.qmumma.ids import shown_anchor, shown_job_id
from edge.dialects.qmumma.objectives import KIND_WORDS
from edge.money import Usd
from edge.values import encode
from mesh.errors import MUTE, Internal

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp
    from qm.execution.v1.execution_pb2 import Job, SubmitJobResponse
    from qm.routing.v1.routing_pb2 import Estimate
    from qm.signing.v1.signing_pb2 import GetAnchorResponse, Seal

    from edge.dialects.qmumma.requests import JobPriority, JobStatus

STATUS_BY_STATE: dict[int, JobStatus] = {
    execution_pb2.JOB_STATE_QUEUED: "queued",
    execution_pb2.JOB_STATE_RUNNING: "running",
    execution_pb2.JOB_STATE_COMPLETED: "completed",
    execution_pb2.JOB_STATE_FAILED: "failed",
    execution_pb2.JOB_STATE_CANCELLED: "cancelled",
}
STATE_BY_STATUS = {status: execution_pb2.JobState.ValueType(state) for state, status in STATUS_BY_STATE.items()}
PRIORITY_BY_WORD = {
    "standard": execution_pb2.PRIORITY_STANDARD,
    "priority": execution_pb2.PRIORITY_PRIORITY,
}
_ETAG = re.compile(rb'"([0-9]{1,18})(-proof)?"')
_ENDED = {
    execution_pb2.JOB_STATE_COMPLETED,
    execution_pb2.JOB_STATE_FAILED,
    execution_pb2.JOB_STATE_CANCELLED,
}


WORD_BY_STAGE = {
    execution_pb2.JOB_STAGE_QUEUED: "queued",
    execution_pb2.JOB_STAGE_RUNNING: "running",
    execution_pb2.JOB_STAGE_REROUTED: "rerouted",
    execution_pb2.JOB_STAGE_COMPLETED: "completed",
    execution_pb2.JOB_STAGE_FAILED: "failed",
    execution_pb2.JOB_STAGE_CANCELLED: "cancelled",
}
"""The entries of a job's history, as events are named."""


def has_ended(job: Job) -> bool:
    """Whether nothing about the job can change any more."""
    return job.state in _ENDED


def submitted(response: SubmitJobResponse) -> SubmittedJob:
    """The answer to a submission, made only of what never changes about a job, so that a repeat is the same."""
    job = response.job
    decision = job.decision
    return SubmittedJob(
        job_id=shown_job_id(job.job_id),
        hardware=decision.backend.backend_id,
        estimated_ms=milliseconds(decision.estimate.duration_p50),
        cost_usd=Usd(job.quoted_cost.micros),
        routing=RoutingNote(
            backend=decision.backend.backend_id,
            kind=KIND_WORDS[decision.backend.kind],
            reason=decision.reason,
            alternatives=[
                Alternative(
                    backend=other.backend_id,
                    eligible=other.eligible,
                    reason=other.reason,
                    estimated_ms=_estimated_ms(other.estimate) if other.HasField("estimate") else msgspec.UNSET,
                )
                for other in decision.alternatives
            ],
        ),
    )


def summary(job: Job) -> JobSummary:
    """A job without its result."""
    running = job.state == execution_pb2.JOB_STATE_RUNNING
    priority: JobPriority = "priority" if job.priority == execution_pb2.PRIORITY_PRIORITY else "standard"
    return JobSummary(
        job_id=shown_job_id(job.job_id),
        status=STATUS_BY_STATE[job.state],
        algorithm_id=job.algorithm_id,
        hardware=job.backend_id or job.requested_hardware,
        shots=job.shot_count,
        priority=priority,
        created_at=moment(job.create_time),
        cost_usd=Usd(job.cost.micros),
        progress=Progress(job.progress, job.progress_message) if running else msgspec.UNSET,
        error=JobFailure(job.error.type, job.error.message) if job.HasField("error") else msgspec.UNSET,
    )


def job_body(job: Job, proof: Proof | None = None) -> bytes:
    """A job as JSON. A completed one is its signed record, byte for byte, with the members that prove it."""
    if job.state != execution_pb2.JOB_STATE_COMPLETED:
        return encode(summary(job))
    if len(job.record) < len(b'{"a":0}') or job.record[:1] != b"{":
        raise Internal(MUTE, reason="COMPLETED_WITHOUT_RECORD")
    members = seal_members(job.seal)
    if proof:
        members["proof"] = proof
    elif job.HasField("end_time"):  # nothing proves it, and what comes with a proof is proven to the last byte
        members["completed_at"] = moment(job.end_time)
    return b"".join((job.record[:-1], b",", encode(members)[1:]))


def stage_body(job: Job, number: int) -> bytes:
    """A job as it was at an entry of its history, counted from 1: the same whenever that is asked; without progress."""
    if has_ended(job) and number == len(job.history):
        return job_body(job)
    so_far = job.history[:number]
    moved = execution_pb2.JOB_STAGE_REROUTED in so_far
    running = so_far[-1] == execution_pb2.JOB_STAGE_RUNNING
    past = execution_pb2.Job(
        job_id=job.job_id,
        algorithm_id=job.algorithm_id,
        requested_hardware=job.requested_hardware,
        backend_id=job.backend_id if moved else job.decision.backend.backend_id,
        shot_count=job.shot_count,
        priority=job.priority,
        state=execution_pb2.JOB_STATE_RUNNING if running else execution_pb2.JOB_STATE_QUEUED,
        create_time=job.create_time,
        cost=job.quoted_cost,
    )
    return encode(msgspec.structs.replace(summary(past), progress=msgspec.UNSET))


def sealed_body(record: bytes, seal: Seal) -> bytes:
    """A signed record as JSON, byte for byte, with the members that prove it."""
    return b"".join((record[:-1], b",", encode(seal_members(seal))[1:]))


def proof_of(record: bytes, anchor: GetAnchorResponse) -> Proof:
    """The log's proof of a record, and the digests that name an altered member."""
    members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    return Proof(
        leaf=anchor.leaf.decode(),
        leaf_index=anchor.leaf_index,
        tree_size=anchor.tree_size,
        inclusion=[_base64(node) for node in anchor.inclusion],
        inclusion_digests=[_digest(node) for node in anchor.inclusion],
        checkpoint=anchor.checkpoint,
        # The record is canonical already, so each member's text is its own RFC 8785 form.
        digests={name: _digest(bytes(raw)) for name, raw in members.items()},
    )


def etag(job: Job, *, with_proof: bool = False) -> bytes:
    """The entity tag of a job's state."""
    return b'"%d-proof"' % job.version if with_proof else b'"%d"' % job.version


def known_version(sent: bytes | None, *, with_proof: bool) -> int:
    """The version that an `If-None-Match` header names by one tag of `etag`; 0 for any other header."""
    match = _ETAG.fullmatch(sent or b"")
    return int(match[1]) if match and bool(match[2]) == with_proof else 0


def moment(timestamp: Timestamp) -> datetime:
    """A point in time, in UTC, to the microsecond."""
    return datetime.fromtimestamp(timestamp.seconds, UTC).replace(microsecond=timestamp.nanos // 1000)


def milliseconds(duration: Duration) -> int:
    """A span, rounded up to whole milliseconds."""
    return duration.seconds * 1000 + math.ceil(duration.nanos / 1e6)


def _estimated_ms(estimate: Estimate) -> int:
    return milliseconds(estimate.duration_p50)


def seal_members(seal: Seal) -> dict[str, object]:
    """What stands beside a record in an answer."""
    return {
        "pqc_signature": _base64(seal.signature),
        "key_id": seal.key_id,
        "audit_hash": f"sha256:{seal.audit_hash.hex()}",
        "blockchain_anchor": shown_anchor(seal.leaf_hash),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
