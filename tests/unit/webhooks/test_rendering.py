"""The body of an event."""

from __future__ import annotations

import pytest
from qm.execution.v1 import events_pb2
from qm.execution.v1 import execution_pb2 as pb

from services.webhooks.rendering import UnknownEvent, body_of


def event(stage: int, state: int) -> events_pb2.JobEvent:
    made = events_pb2.JobEvent(job_id="0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f", stage=stage, state=state)
    made.create_time.FromJsonString("2026-05-06T04:00:00Z")
    return made


@pytest.mark.parametrize(
    ("stage", "state", "name", "status"),
    [
        (pb.JOB_STAGE_COMPLETED, pb.JOB_STATE_COMPLETED, "job.completed", "completed"),
        (pb.JOB_STAGE_FAILED, pb.JOB_STATE_FAILED, "job.failed", "failed"),
        (pb.JOB_STAGE_REROUTED, pb.JOB_STATE_QUEUED, "job.rerouted", "queued"),
        (pb.JOB_STAGE_CANCELLED, pb.JOB_STATE_CANCELLED, "job.cancelled", "cancelled"),
    ],
)
def test_the_body_is_that_of_the_contract_to_the_byte(stage: int, state: int, name: str, status: str):
    assert body_of(event(stage, state)).decode() == (
        f'{{"event":"{name}","job_id":"qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f",'
        f'"status":"{status}","timestamp":"2026-05-06T04:00:00Z"}}'
    )


@pytest.mark.parametrize(
    ("stage", "state"),
    [(pb.JOB_STAGE_RUNNING, pb.JOB_STATE_RUNNING), (0, pb.JOB_STATE_FAILED), (pb.JOB_STAGE_FAILED, 0), (99, 99)],
)
def test_what_no_webhook_tells_of_has_no_body(stage: int, state: int):
    with pytest.raises(UnknownEvent):
        body_of(event(stage, state))
