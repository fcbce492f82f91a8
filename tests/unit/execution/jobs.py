"""A job to look at."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from services.execution.job import Job, JobId, NewJob, Priority

JOB_ID = JobId(uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
CREATED = dt.datetime(2026, 3, 1, 12, 0, 0, 5, dt.UTC)


def backend(**changes: Any) -> routing_pb2.Backend:
    fields: dict[str, Any] = {
        "backend_id": "simulator",
        "kind": routing_pb2.BACKEND_KIND_SIMULATOR,
        "method": "statevector",
        "qubit_count": 29,
    }
    return routing_pb2.Backend(**(fields | changes))


def new_job(**changes: Any) -> NewJob:
    fields: dict[str, Any] = {
        "job_id": JOB_ID,
        "requester": requester_pb2.Requester(team_id="t", plan="student"),
        "request_id": "key",
        "fingerprint": b"f" * 32,
        "algorithm_id": "circuit.openqasm.v1",
        "parameters": b'{"qasm":"..."}',
        "requested_hardware": "auto",
        "shot_count": 1024,
        "priority": Priority.STANDARD,
        "seed": 2**63 - 1,
        "webhook_url": "",
        "decision": routing_pb2.Decision(backend=backend()),
        "cost": 100_000,
        "create_time": CREATED,
    }
    return NewJob(**(fields | changes))


def job(**changes: Any) -> Job:
    return Job.accepted(new_job(**changes))
