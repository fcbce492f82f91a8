"""The record of a completed job: what is signed, and what every dialect renders. Pure.

Its members are those of the Q-MUMMA answer, so that a reader of that answer can check the seal without asking anyone.
Numbers are what JSON can carry exactly: the seed, up to 2^63, is a decimal string.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import rfc8785

from mesh.errors import ResourceExhausted
from services.execution import task
from services.execution.job import Job, public_id

RECORD_TYPE = "qmumma.result/v1"
MICROS = 1_000_000
LARGEST_RECORD = 16 * 2**20
"""Bytes that signing takes."""


class RecordError(Exception):
    """A result that JSON cannot carry exactly (RFC 8785): a bug of its algorithm."""


def build_record(job: Job, outcome: task.Outcome, executed_at: dt.datetime) -> bytes:
    """The canonical record (RFC 8785) of what `outcome` says of `job`, run at `executed_at` (UTC).

    Raises RecordError, and ResourceExhausted (RESULT_TOO_LARGE) for one of more than LARGEST_RECORD bytes.
    """
    record: dict[str, Any] = {
        "type": RECORD_TYPE,
        "job_id": public_id(job.job_id),
        "status": "completed",
        "algorithm_id": job.algorithm_id,
        "parameters_hash": f"sha256:{hashlib.sha256(job.parameters).hexdigest()}",
        "hardware": job.backend.backend_id,
        "shots": job.shot_count,
        "priority": job.priority.word,
        "created_at": rfc3339(job.create_time),
        "executed_at": rfc3339(executed_at),
        "cost_usd": job.cost / MICROS,
        "qubits": job.backend.qubit_count,
        "qubits_used": outcome.qubits_used,
        "result": outcome.result,
        "fidelity": f"{100 * outcome.fidelity:.2f}%",
        "fidelity_method": outcome.fidelity_method,
        "execution": {
            "engine": outcome.engine,
            "engine_version": outcome.engine_version,
            "method": job.backend.method,
            "simulated": outcome.simulated,
            "seed": str(job.seed),
            "calibration_id": outcome.calibration_id,
            "duration_ms": round(outcome.duration_ms, 3),
        },
    }
    try:
        canonical = rfc8785.dumps(record)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        message = f"{job.algorithm_id} gave a result that cannot be sealed. You are not charged; tell us the job's id."
        raise RecordError(message) from error
    if len(canonical) > LARGEST_RECORD:
        message = f"the result of {len(canonical)} bytes is more than the {LARGEST_RECORD} of a record; use fewer shots"
        raise ResourceExhausted(message, reason="RESULT_TOO_LARGE")
    return canonical


def rfc3339(moment: dt.datetime) -> str:
    """A moment in UTC, with microseconds and `Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
