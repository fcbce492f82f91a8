"""A job: its states, who may change it, and what it carries. Pure: no clock, no SQL, no gRPC."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NewType

from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import NotFound

JobId = NewType("JobId", uuid.UUID)
LEASE = dt.timedelta(seconds=9)
"""A worker that has not renewed for this long has lost its job; shorter than the queue's ack_wait."""
LONG_SECONDS = 5.0
"""A job that is predicted to run longer may not take the last engines of a worker."""

UNPREDICTABLE = "decision_diagram"
"""The method whose runs may take a thousand times what is predicted: how large a diagram gets, only running shows."""
LEAST_SECONDS = 0.001
"""What a turn counts at least until it is over, so that jobs of no predicted length alternate too."""


class State(IntEnum):
    """Where a job is in its life; the numbers are those of the proto and of the table."""

    QUEUED = 1
    RUNNING = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def word(self) -> str:
        """The state in subjects and answers ("completed")."""
        return self.name.lower()

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self >= State.COMPLETED


class Stage(IntEnum):
    """An entry in a job's history; the numbers are those of the proto and of the table, and of the states."""

    QUEUED = 1
    RUNNING = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5
    REROUTED = 6
    """Queued again, for another backend or engine."""

    @property
    def word(self) -> str:
        """The stage in subjects ("rerouted")."""
        return self.name.lower()


class Priority(IntEnum):
    """How a job stands in its queue; the numbers are those of the proto."""

    STANDARD = 1
    PRIORITY = 2

    @property
    def word(self) -> str:
        """The priority in subjects and answers ("standard")."""
        return self.name.lower()


class Queue(IntEnum):
    """Where a job waits, by who may run it; the numbers are those of the table."""

    SHORT = 1
    LONG = 2
    ENTERPRISE_SHORT = 3
    ENTERPRISE_LONG = 4

    @classmethod
    def of(cls, requester: requester_pb2.Requester, seconds: float, method: str = "") -> Queue:
        """The queue of a job that is predicted to run for `seconds`; an enterprise's jobs have one of their own.

        What may run to its limit by its engine's method, whatever is predicted, is taken to be long.
        """
        long = seconds > LONG_SECONDS or method == UNPREDICTABLE
        if requester.plan == "enterprise" or requester.environment == requester_pb2.ENVIRONMENT_ENTERPRISE:
            return cls.ENTERPRISE_LONG if long else cls.ENTERPRISE_SHORT
        return cls.LONG if long else cls.SHORT

    @property
    def word(self) -> str:
        """The queue in subjects ("enterprise-long")."""
        return self.name.lower().replace("_", "-")

    @property
    def long(self) -> bool:
        """Whether its jobs are long."""
        return self in (Queue.LONG, Queue.ENTERPRISE_LONG)

    @property
    def enterprise(self) -> bool:
        """Whether its jobs are of enterprises."""
        return self >= Queue.ENTERPRISE_SHORT


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that wait for the same: those of one queue, and the order of their priorities."""

    pool: str
    queue: Queue
    priorities: Sequence[Priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is accepted: everything that never changes, except the backend, which a reroute may change."""

    job_id: JobId
    requester: requester_pb2.Requester
    request_id: str
    """Unique in the team: a repeat finds this job."""
    fingerprint: bytes
    """SHA-256 of the public request; a repeat has to match it."""
    algorithm_id: str
    parameters: bytes = field(repr=False)
    """Canonical JSON (RFC 8785), with the defaults of what was left out."""
    requested_hardware: str
    shot_count: int
    priority: Priority
    seed: int
    webhook_url: str
    decision: routing_pb2.Decision
    cost: int
    """Micro-dollars held for it."""
    create_time: dt.datetime
    public_request: str = ""
    """The id of the public request that submitted it."""
    public_address: str = ""
    """The client's address in that request, for the audit trail alone."""
    traceparent: str = ""
    """The trace context of that request (W3C); empty where nothing is traced."""
    quote_id: uuid.UUID | None = None
    """The quote that it goes by, which no other job can."""
    release_time: dt.datetime | None = None
    """No worker sees it before then; a test key's wish."""
    engine_crash: bool = False
    """Whether every engine that runs it is killed; a test key's wish."""
    worker: str | None = None
    """Who begins it at once; None for a job that waits."""

    @property
    def queue(self) -> Queue:
        """Where it waits."""
        return Queue.of(self.requester, predicted_seconds(self.decision), self.decision.backend.method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is stored."""

    job_id: JobId
    requester: requester_pb2.Requester
    fingerprint: bytes
    algorithm_id: str
    parameters: bytes = field(repr=False)
    requested_hardware: str
    backend: routing_pb2.Backend
    """Where it runs now; differs from the decision's after a reroute."""
    shot_count: int
    priority: Priority
    seed: int
    webhook_url: str
    decision: routing_pb2.Decision
    queue: Queue
    cost: int
    state: State
    version: int
    create_time: dt.datetime
    update_time: dt.datetime
    start_time: dt.datetime | None
    end_time: dt.datetime | None
    cancel_requested: bool
    attempt_count: int
    """Times that a worker took it and did not hand it back."""
    progress: float
    progress_message: str
    record: bytes | None = field(repr=False)
    seal: signing_pb2.Seal | None
    error_type: str | None
    error_message: str | None
    engine_crash: bool
    history: tuple[Stage, ...]
    public_request: str
    """The id of the public request that submitted it, under which workers ask others too."""
    traceparent: str
    """The trace context of that request, of which their spans are a part."""
    fault: str
    """Why it was moved to another backend, for people; empty where it was not."""

    @classmethod
    def accepted(cls, new: NewJob) -> Job:
        """The job that a new one becomes with its commit."""
        return cls(
            job_id=new.job_id,
            requester=new.requester,
            fingerprint=new.fingerprint,
            algorithm_id=new.algorithm_id,
            parameters=new.parameters,
            requested_hardware=new.requested_hardware,
            backend=new.decision.backend,
            shot_count=new.shot_count,
            priority=new.priority,
            seed=new.seed,
            webhook_url=new.webhook_url,
            decision=new.decision,
            queue=new.queue,
            cost=new.cost,
            state=State.QUEUED,
            version=1,
            create_time=new.create_time,
            update_time=new.create_time,
            start_time=None,
            end_time=None,
            cancel_requested=False,
            attempt_count=0,
            progress=0.0,
            progress_message="",
            record=None,
            seal=None,
            error_type=None,
            error_message=None,
            engine_crash=new.engine_crash,
            history=(Stage.QUEUED,),
            public_request=new.public_request,
            traceparent=new.traceparent,
            fault="",
        )

    @classmethod
    def begun(cls, new: NewJob) -> Job:
        """The job that a new one becomes with its commit where a worker has it at once."""
        return replace(
            cls.accepted(new),
            state=State.RUNNING,
            version=2,
            start_time=new.create_time,
            attempt_count=1,
            history=(Stage.QUEUED, Stage.RUNNING),
        )

    @property
    def rerouted(self) -> bool:
        """Whether it runs elsewhere than was first decided, or on another engine."""
        first = self.decision.backend
        return (self.backend.backend_id, self.backend.engine) != (first.backend_id, first.engine)

    @property
    def may_reroute(self) -> bool:
        """Whether a fault of its engine may move it: once, where the caller named none, or allows a machine's twin."""
        twin = self.backend.kind == routing_pb2.BACKEND_KIND_LIVE and self.decision.twin_allowed
        return (self.requested_hardware == "auto" or twin) and not self.rerouted


def predicted_seconds(decision: routing_pb2.Decision) -> float:
    """How long the run is expected to take after its queue, in the median; 0 where nothing was predicted."""
    estimate = decision.estimate
    return (estimate.duration_p50.ToTimedelta() - estimate.queue_p50.ToTimedelta()).total_seconds()


def public_id(job_id: JobId) -> str:
    """The job's name in the Q-MUMMA dialect and in signed records."""
    return f"qm_job_{job_id.hex}"


def job_not_found() -> NotFound:
    """What another team's job and no job at all look like."""
    return NotFound("there is no such job in your team", reason="JOB_NOT_FOUND", field="job_id")
