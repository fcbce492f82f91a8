"""What the audit trail is told of jobs."""

from __future__ import annotations

import datetime as dt

from qm.audit.v1.audit_pb2 import OUTCOME_FAILED, OUTCOME_SUCCEEDED
from qm.type.v1.requester_pb2 import Requester

from mesh.audit import Deed, audit_message
from mesh.events import Message
from services.execution.job import Job, NewJob, State, public_id

SERVICE = "execution"


def submitted(job: NewJob) -> Message:
    """A job was accepted."""
    who = job.requester
    deed = Deed(
        team_id=who.team_id,
        service=SERVICE,
        action="job.submitted",
        object_id=public_id(job.job_id),
        user_id=who.user_id,
        key_id=who.key_id,
        request_id=job.public_request,
        address=job.public_address,
        details={"algorithm_id": job.algorithm_id, "hardware": job.requested_hardware, "shots": str(job.shot_count)},
    )
    return audit_message(deed, job.create_time)


def cancel_requested(job: Job, by: Requester, moment: dt.datetime) -> Message:
    """Somebody wants a running job to end."""
    return audit_message(Deed.by(by, SERVICE, "job.cancel_requested", public_id(job.job_id)), moment)


def ended(job: Job, state: State, moment: dt.datetime, *, by: Requester | None, error_type: str | None) -> Message:
    """A job came to its end: by its worker, or `by` somebody who cancelled it while it waited."""
    deed = Deed(
        team_id=job.requester.team_id,
        service=SERVICE,
        action=f"job.{state.word}",
        object_id=public_id(job.job_id),
        user_id=by.user_id if by else "",
        key_id=by.key_id if by else "",
        outcome=OUTCOME_FAILED if state is State.FAILED else OUTCOME_SUCCEEDED,
        details={"hardware": job.backend.backend_id} | ({"error": error_type} if error_type else {}),
    )
    return audit_message(deed, moment)
