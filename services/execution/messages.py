"""Between the domain's values and the wire."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.type.v1 import money_pb2

from mesh.timestamps import timestamp
from services.execution.job import Job, State
from services.execution.programs.features import Features
from services.execution.quote import Quote
from services.execution.view import view_token

CURRENCY = "USD"


def money(micros: int) -> money_pb2.Money:
    """An amount of micro-dollars."""
    return money_pb2.Money(currency_code=CURRENCY, micros=micros)


def job_message(job: Job) -> pb.Job:
    """A job as it is told."""
    free = job.state in (State.FAILED, State.CANCELLED)
    message = pb.Job(
        job_id=str(job.job_id),
        team_id=job.requester.team_id,
        algorithm_id=job.algorithm_id,
        requested_hardware=job.requested_hardware,
        backend_id=job.backend.backend_id,
        shot_count=job.shot_count,
        priority=pb.Priority.ValueType(job.priority),
        state=pb.JobState.ValueType(job.state),
        version=job.version,
        decision=job.decision,
        cost=money(0 if free else job.cost),
        quoted_cost=money(job.cost),
        create_time=timestamp(job.create_time),
        progress=job.progress,
        progress_message=job.progress_message,
        fault=job.fault,
        backend_kind=job.backend.kind,
    )
    message.history.extend(map(pb.JobStage.ValueType, job.history))
    if job.start_time is not None:
        message.start_time.CopyFrom(timestamp(job.start_time))
    if job.end_time is not None:
        message.end_time.CopyFrom(timestamp(job.end_time))
    if job.state is State.COMPLETED and job.seal is not None:
        message.seal.CopyFrom(job.seal)
        message.record = job.record or b""
        message.view_token = view_token(job.job_id, job.seal)
    if job.error_type is not None:
        message.error.type = job.error_type
        message.error.message = job.error_message or ""
    return message


def quote_message(quote: Quote) -> pb.Quote:
    """A quote as it is told."""
    return pb.Quote(
        quote_id=str(quote.quote_id),
        decision=quote.decision,
        cost=money(quote.cost),
        create_time=timestamp(quote.create_time),
        expire_time=timestamp(quote.expire_time),
        record=quote.record,
        seal=quote.seal,
    )


def features_message(features: Features) -> routing_pb2.Features:
    """The features of a program as routing takes them."""
    classical = Duration()
    classical.FromNanoseconds(round(features.classical_ms * 1e6))
    return routing_pb2.Features(
        qubit_count=max(1, features.active_qubits),
        clbit_count=features.num_clbits,
        depth=features.depth,
        gate_count=features.gate_count,
        two_qubit_gate_count=features.two_qubit_gate_count,
        clifford=features.clifford,
        dynamic=features.dynamic,
        entanglement_bound=features.cut_rank_bits,
        circuit_count=features.circuit_count,
        classical_duration=classical,
    )
