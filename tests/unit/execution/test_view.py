"""View tokens: only for a completed job, only its own, and not to be had from the public log."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid

from qm.signing.v1.signing_pb2 import Seal

from services.execution.job import JobId, State
from services.execution.view import may_view, view_token
from tests.unit.execution.jobs import job as make_job

SEAL = Seal(signature=bytes(range(256)) * 12 + bytes(237))


def test_a_token_opens_its_own_completed_job_only() -> None:
    job = dataclasses.replace(make_job(), state=State.COMPLETED, seal=SEAL)
    token = view_token(job.job_id, SEAL)
    assert len(token) == 22
    assert may_view(job, token)
    assert not may_view(job, token[:-1])
    assert not may_view(job, token + "A")
    assert not may_view(job, "é")
    assert not may_view(dataclasses.replace(job, job_id=JobId(uuid.uuid4())), token)
    assert not may_view(dataclasses.replace(job, seal=Seal(signature=SEAL.signature[:-1] + b"x")), token)
    assert not may_view(dataclasses.replace(job, state=State.RUNNING), token)
    assert not may_view(dataclasses.replace(job, seal=None), token)


def test_what_the_log_tells_of_a_signature_does_not_give_the_token() -> None:
    job_id = JobId(uuid.uuid4())
    logged = Seal(signature=hashlib.sha256(SEAL.signature).digest())
    assert view_token(job_id, SEAL) != view_token(job_id, logged)
