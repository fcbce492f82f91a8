"""What is sent: the body of an event, in the words of the dialect that its job came by. Today there is one."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec
from qm.execution.v1 import events_pb2, execution_pb2

_STATUS = {
    execution_pb2.JOB_STATE_QUEUED: "queued",
    execution_pb2.JOB_STATE_COMPLETED: "completed",
    execution_pb2.JOB_STATE_FAILED: "failed",
    execution_pb2.JOB_STATE_CANCELLED: "cancelled",
}
_EVENT = {
    execution_pb2.JOB_STAGE_COMPLETED: "job.completed",
    execution_pb2.JOB_STAGE_FAILED: "job.failed",
    execution_pb2.JOB_STAGE_CANCELLED: "job.cancelled",
    execution_pb2.JOB_STAGE_REROUTED: "job.rerouted",
}


class UnknownEvent(ValueError):
    """An event that no webhook tells of."""


class _Body(msgspec.Struct):
    """The body in the Q-MUMMA dialect, its members in the order of the contract."""

    event: str
    job_id: str
    status: str
    timestamp: dt.datetime


def event_name(event: events_pb2.JobEvent) -> str:
    """The event's name ("job.completed"); raises UnknownEvent."""
    name = _EVENT.get(event.stage)
    if name is None:
        raise UnknownEvent(f"no webhook tells of the stage {event.stage}")
    return name


def body_of(event: events_pb2.JobEvent) -> bytes:
    """The body that is sent and signed; raises UnknownEvent, and ValueError for a job id that is none."""
    if event.state not in _STATUS:
        raise UnknownEvent(f"no webhook tells of the state {event.state}")
    return msgspec.json.encode(
        _Body(
            event=event_name(event),
            job_id=f"qm_job_{uuid.UUID(event.job_id).hex}",
            status=_STATUS[event.state],
            timestamp=event.create_time.ToDatetime(tzinfo=dt.UTC),
        )
    )
