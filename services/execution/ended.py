"""What the end of a job tells those who learn from it: where it ran, how long, and how good it was. Pure."""

from __future__ import annotations

import datetime as dt

import msgspec
from google.protobuf.duration_pb2 import Duration
from qm.execution.v1 import events_pb2

from services.execution.job import Job, State


class _Execution(msgspec.Struct):
    engine: str
    calibration_id: str | None
    duration_ms: float


class _Told(msgspec.Struct):
    """What a record (record.py) says besides its result."""

    fidelity: str
    fidelity_method: str
    execution: _Execution


_RECORDS = msgspec.json.Decoder(_Told)


def outcome_of(
    job: Job, state: State, now: dt.datetime, *, record: bytes | None, error_type: str | None
) -> events_pb2.JobOutcome | None:
    """How a job came out that ends now in `state`; None where it was cancelled."""
    if state is State.CANCELLED:
        return None
    started = job.start_time
    outcome = events_pb2.JobOutcome(
        decision_id=job.decision.decision_id,
        backend_id=job.backend.backend_id,
        engine=job.backend.engine,
        rerouted=job.rerouted,
        estimate=None if job.rerouted else job.decision.estimate,
        queue_duration=None if started is None else _span(started - job.create_time),
        run_duration=None if started is None else _span(now - started),
    )
    if error_type is not None:
        outcome.error_type = error_type
        outcome.backend_fault = error_type == "server_error"
    elif record is not None:
        told = _RECORDS.decode(record)
        outcome.engine = told.execution.engine
        outcome.calibration_id = told.execution.calibration_id or ""
        outcome.fidelity = round(float(told.fidelity.rstrip("%")) / 100, 6)
        outcome.fidelity_method = told.fidelity_method
        outcome.engine_duration.CopyFrom(_span(dt.timedelta(milliseconds=told.execution.duration_ms)))
    return outcome


def fault_of(job: Job, now: dt.datetime) -> events_pb2.JobOutcome:
    """How the backend that was decided on failed a job that goes on elsewhere now."""
    first, started = job.decision.backend, job.start_time
    return events_pb2.JobOutcome(
        decision_id=job.decision.decision_id,
        backend_id=first.backend_id,
        engine=first.engine,
        estimate=job.decision.estimate,
        queue_duration=None if started is None else _span(started - job.create_time),
        run_duration=None if started is None else _span(now - started),
        error_type="server_error",
        backend_fault=True,
    )


def _span(time: dt.timedelta) -> Duration:
    return Duration(seconds=time.days * 86_400 + time.seconds, nanos=time.microseconds * 1000)
