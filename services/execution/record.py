"""The record of a completed job: what is signed, and what every dialect renders. Pure.

Its members are those of the Q-MUMMA answer, so that a reader of that answer can check the seal without asking anyone.
Numbers are what JSON can carry exactly: the seed, up to 2^63, is a decimal string.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import rfc8785
from msgspec import Meta

from mesh.errors import ResourceExhausted
from services.execution import task
from services.execution.job import Job, public_id

RECORD_TYPE = "qmumma.result/v1"
MICROS = 1_000_000
LARGEST_RECORD = 2**20
"""Bytes of a record with its result in it; where it would be longer, the record has the result's digest instead."""
LARGEST_RESULT = 64 * 2**20
"""Bytes of a result, as canonical JSON."""
MEDIA_TYPE = "application/json"
_PLACE = b'"result":null'
"""In canonical JSON once, for inside a string the quotes are escaped, and no other member has the name."""


class RecordError(Exception):
    """A result that JSON cannot carry exactly (RFC 8785): a bug of its algorithm."""


class ResultObject(msgspec.Struct, frozen=True):
    """What a record says of a result that is stored apart."""

    digest: Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
    """SHA-256 of its bytes."""
    size_bytes: int
    media_type: str

    @property
    def sha256(self) -> str:
        """The digest's hexadecimal digits."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Record:
    """What is signed, and the result apart where it is too large to be in it; canonical JSON (RFC 8785) both."""

    signed: bytes
    apart: bytes | None = None

    @property
    def sha256(self) -> str:
        """The digest of the result that is stored apart, as hexadecimal digits."""
        return hashlib.sha256(self.apart or b"").hexdigest()


def build_record(job: Job, outcome: task.Outcome, executed_at: dt.datetime) -> Record:
    """The record of what `outcome` says of `job`, run at `executed_at` (UTC).

    Raises RecordError, and ResourceExhausted (RESULT_TOO_LARGE) for a result of more than LARGEST_RESULT bytes.
    """
    members = _members(job, outcome, executed_at)
    result = _canonical(job, outcome.result)
    # The result is put into its place: writing a large one twice would take seconds.
    before, after = _canonical(job, {**members, "result": None}).split(_PLACE)
    if len(before) + len(_PLACE) - len(b"null") + len(result) + len(after) <= LARGEST_RECORD:
        return Record(b"".join((before, _PLACE.removesuffix(b"null"), result, after)))
    if len(result) > LARGEST_RESULT:
        message = (
            f"the result has {len(result)} bytes, more than the {LARGEST_RESULT} that are kept; "
            "use fewer shots, or ask for less (memory, probabilities)"
        )
        raise ResourceExhausted(message, reason="RESULT_TOO_LARGE")
    told = ResultObject(f"sha256:{hashlib.sha256(result).hexdigest()}", len(result), MEDIA_TYPE)
    return Record(_canonical(job, {**members, "result_object": msgspec.to_builtins(told)}), result)


def read_result(record: bytes) -> bytes | ResultObject:
    """The result in a record as canonical JSON, or what the record says of one that is stored apart."""
    members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    if "result_object" in members:
        return msgspec.json.decode(members["result_object"], type=ResultObject)
    return bytes(members["result"])


def _members(job: Job, outcome: task.Outcome, executed_at: dt.datetime) -> dict[str, Any]:
    """Everything that is signed, but for the result."""
    return {
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
        "fidelity": f"{100 * outcome.fidelity:.2f}%",
        "fidelity_method": outcome.fidelity_method,
        "execution": _execution(job, outcome, executed_at),
    }


def _execution(job: Job, outcome: task.Outcome, executed_at: dt.datetime) -> dict[str, Any]:
    """What made the result. A member that this run has nothing to say of is null."""
    stages, fitted = outcome.stages, outcome.transpiled
    began_at = None if stages is None else dt.datetime.fromtimestamp(stages.began_at, dt.UTC)
    return {
        "engine": outcome.engine,
        "engine_version": outcome.engine_version,
        "method": job.backend.method,
        "simulated": outcome.simulated,
        "seed": str(job.seed),
        "calibration_id": outcome.calibration_id,
        "duration_ms": round(outcome.duration_ms, 3),
        "device_ms": None if stages is None else round(stages.device_ms, 3),
        "circuits": None if stages is None else stages.circuit_count or None,
        "shots_total": None if stages is None else stages.shot_count or None,
        "stages": {
            "accepted_at": rfc3339(job.create_time),
            "claimed_at": None if job.start_time is None else rfc3339(job.start_time),
            "run_began_at": None if began_at is None else rfc3339(began_at),
            "run_ended_at": rfc3339(executed_at),
        },
        "transpiled": None
        if fitted is None
        else {
            "layout": fitted.layout,
            "depth": fitted.depth,
            "gates": fitted.gate_count,
            "two_qubit_gates": fitted.two_qubit_gate_count,
            "optimization_level": fitted.optimization_level,
            "openqasm": fitted.openqasm,
        },
        "versions": outcome.versions,
    }


def _canonical(job: Job, value: dict[str, Any]) -> bytes:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        message = f"{job.algorithm_id} gave a result that cannot be sealed. You are not charged; tell us the job's id."
        raise RecordError(message) from error


def rfc3339(moment: dt.datetime) -> str:
    """A moment in UTC, with microseconds and `Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
