"""Between a job and its row, and the messages that tell of it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import asyncpg
import uuid_utils.compat
from qm.execution.v1 import events_pb2, execution_pb2
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2

from mesh.events import Message
from mesh.streams import event_subject, webhook_subject, work_subject
from mesh.timestamps import timestamp
from services.execution.job import LEASE, Job, JobId, NewJob, Priority, Queue, Stage, State, predicted_seconds

HELD = "held."
"""Before the name of a pool while a job is kept from its workers."""


def columns_of(jobs: Sequence[NewJob]) -> list[list[object]]:
    """The columns of new jobs, in the order in which the store inserts them."""
    begun = [job.worker is not None for job in jobs]
    return [
        [job.worker for job in jobs],
        [job.create_time + LEASE if begins else None for job, begins in zip(jobs, begun, strict=True)],
        [job.create_time if begins else None for job, begins in zip(jobs, begun, strict=True)],
        [job.job_id for job in jobs],
        [job.requester.team_id for job in jobs],
        [job.requester.user_id for job in jobs],
        [job.requester.key_id for job in jobs],
        [job.requester.plan for job in jobs],
        [job.requester.environment for job in jobs],
        [job.request_id for job in jobs],
        [job.fingerprint for job in jobs],
        [job.algorithm_id for job in jobs],
        [job.parameters for job in jobs],
        [job.requested_hardware for job in jobs],
        [job.decision.backend.backend_id for job in jobs],
        [job.decision.backend.SerializeToString() for job in jobs],
        [job.shot_count for job in jobs],
        [job.priority for job in jobs],
        [job.seed for job in jobs],
        [job.webhook_url for job in jobs],
        [job.decision.SerializeToString() for job in jobs],
        [job.cost for job in jobs],
        [job.create_time for job in jobs],
        [HELD + job.decision.backend.pool if job.release_time else job.decision.backend.pool for job in jobs],
        [job.queue for job in jobs],
        [predicted_seconds(job.decision) or math.inf for job in jobs],
        [job.release_time for job in jobs],
        [job.engine_crash for job in jobs],
        [job.public_request for job in jobs],
        [job.traceparent for job in jobs],
        [job.quote_id for job in jobs],
    ]


def end_columns(job: Job, worker: str | None) -> tuple[object, ...]:
    """The columns of a job that `worker` has ended, in the order in which the store updates them."""
    sealed = job.seal.SerializeToString() if job.seal is not None else None
    return (job.job_id, worker, job.state, job.end_time, sealed, job.error_type, job.error_message)


def work_of(job_id: JobId, pool: str, queue: Queue) -> Message:
    """The message that wakes a worker of a pool: a job waits in a queue. Which one it takes, the database says."""
    payload = events_pb2.JobWork(job_id=str(job_id)).SerializeToString()
    return Message(str(uuid_utils.compat.uuid7()), work_subject(pool, queue.word), payload)


def event_of(
    job_id: JobId,
    team_id: str,
    state: State,
    moment: dt.datetime,
    *,
    word: str | None = None,
    outcome: events_pb2.JobOutcome | None = None,
) -> Message:
    """The message that tells of a change of state; `word` names it in the subject where the state does not."""
    event = events_pb2.JobEvent(
        job_id=str(job_id),
        team_id=team_id,
        state=execution_pb2.JobState.ValueType(state),
        outcome=outcome,
        create_time=timestamp(moment),
    )
    subject = event_subject(word or state.word, team_id)
    return Message(str(uuid_utils.compat.uuid7()), subject, event.SerializeToString())


def webhook_of(job: Job, stage: Stage, state: State, moment: dt.datetime) -> list[Message]:
    """The message that has the job's team called, where it gave a webhook."""
    if not job.webhook_url:
        return []
    event = events_pb2.JobEvent(
        job_id=str(job.job_id),
        team_id=job.requester.team_id,
        state=execution_pb2.JobState.ValueType(state),
        stage=execution_pb2.JobStage.ValueType(stage),
        webhook_url=job.webhook_url,
        create_time=timestamp(moment),
    )
    subject = webhook_subject(stage.word, job.requester.team_id)
    return [Message(str(uuid_utils.compat.uuid7()), subject, event.SerializeToString())]


def job_of(row: asyncpg.Record) -> Job:
    """The job of a row."""
    requester = requester_pb2.Requester(
        team_id=str(row["team_id"]),
        user_id=str(row["user_id"]),
        key_id=str(row["key_id"]),
        plan=row["plan"],
        environment=row["environment"],
    )
    return Job(
        job_id=JobId(row["job_id"]),
        requester=requester,
        fingerprint=row["fingerprint"],
        algorithm_id=row["algorithm_id"],
        parameters=row["parameters"],
        requested_hardware=row["requested_hardware"],
        backend=routing_pb2.Backend.FromString(row["backend"]),
        shot_count=row["shot_count"],
        priority=Priority(row["priority"]),
        seed=row["seed"],
        webhook_url=row["webhook_url"],
        decision=routing_pb2.Decision.FromString(row["decision"]),
        queue=Queue(row["queue"]),
        cost=row["cost"],
        state=State(row["state"]),
        version=row["version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        cancel_requested=row["cancel_requested"],
        attempt_count=row["attempt_count"],
        progress=row["progress"],
        progress_message=row["progress_message"],
        record=row["record"],
        seal=signing_pb2.Seal.FromString(row["seal"]) if row["seal"] else None,
        error_type=row["error_type"],
        error_message=row["error_message"],
        engine_crash=row["engine_crash"],
        history=tuple(map(Stage, row["history"])),
        public_request=row["public_request"],
        traceparent=row["traceparent"],
        fault=row["fault"],
    )
