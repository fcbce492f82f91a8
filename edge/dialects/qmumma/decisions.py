"""Why a job runs where it runs: the decision of the router, in the words of the Q-MUMMA dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2

from edge.dialects.qmumma.ids import shown_job_id
from edge.dialects.qmumma.jobs import path_job_id
from edge.dialects.qmumma.objectives import KIND_WORDS, PREFERENCE_WORDS, BackendKind, Prefer
from edge.dialects.qmumma.rendering import milliseconds, moment
from edge.dialects.qmumma.scalars import Cost, Count, Extent, JobIdText, Moment, Name, Positive, Real, Sentence
from edge.exchange import Answer, Request, json_answer
from edge.money import Usd
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub


class Milliseconds(msgspec.Struct):
    """A predicted time, as two quantiles."""

    p50: Annotated[Count, Meta(description="Half of such jobs take less.", examples=[900])]
    p90: Annotated[Count, Meta(description="Nine of ten take less.", examples=[2400])]


class PredictedFidelity(msgspec.Struct, kw_only=True):
    """The fidelity that the counts of the asked shots are expected to have, with its interval of 90 %."""

    value: Annotated[float, Meta(description="Against the ideal distribution.", ge=0, le=1, examples=[0.91])]
    low: Annotated[float, Meta(description="Nineteen of twenty such runs do better.", ge=0, le=1, examples=[0.88])]
    high: Annotated[float, Meta(description="Nineteen of twenty do worse.", ge=0, le=1, examples=[0.93])]
    method: Annotated[
        Name,
        Meta(
            description="How it was predicted: `exact` of a simulation without noise, `medians` of a calibration, or "
            "by a model that fitted the circuit to the machine.",
            examples=["ideal_mixture"],
        ),
    ]
    calibration_id: Annotated[
        Name | None, Meta(description="From which calibration; null where there is no noise.")
    ] = None


class Utility(msgspec.Struct, kw_only=True):
    """What a prediction is worth, term by term."""

    total: Annotated[Real, Meta(description="The sum; the highest was taken.", examples=[0.897])]
    fidelity: Annotated[Real, Meta(description="What the fidelity adds.")]
    time: Annotated[Real, Meta(description="What the time takes.")]
    cost: Annotated[Real, Meta(description="What the price takes.")]


class Candidate(msgspec.Struct, kw_only=True):
    """A backend that was looked at."""

    backend: Annotated[Name, Meta(description="Its id.", examples=["sim.mps"])]
    kind: Annotated[BackendKind, Meta(description="What really runs.")]
    chosen: Annotated[bool, Meta(description="Whether it was taken.")]
    eligible: Annotated[bool, Meta(description="Whether it could have run the job.")]
    reason: Annotated[Sentence, Meta(description="Why it was taken, or why not.")]
    estimated_ms: (
        Annotated[Milliseconds, Meta(description="Queue and run; absent where it could not run the job.")] | UnsetType
    ) = UNSET
    queue_ms: Annotated[Count, Meta(description="What of the median is waiting.")] | UnsetType = UNSET
    predicted_fidelity: Annotated[PredictedFidelity, Meta(description="Likewise.")] | UnsetType = UNSET
    backend_cost_usd: Annotated[Cost, Meta(description="What it adds to the algorithm's price.")] | UnsetType = UNSET
    utility: Annotated[Utility, Meta(description="What that is worth.")] | UnsetType = UNSET


class Weights(msgspec.Struct):
    """What each part of a prediction counted."""

    fidelity: Annotated[Extent, Meta(description="Times the fidelity, 0 to 1.")]
    time: Annotated[Extent, Meta(description="Times log10(1 + minutes).")]
    cost: Annotated[Extent, Meta(description="Times the dollars that the backend adds.")]


class Program(msgspec.Struct, kw_only=True):
    """What the router knew of the program."""

    qubits: Annotated[Positive, Meta(description="Qubits that an operation touches.")]
    depth: Annotated[Count, Meta(description="Its longest chain of operations.")]
    gates: Annotated[Count, Meta(description="Its gates.")]
    two_qubit_gates: Annotated[Count, Meta(description="Its gates on two qubits or more.")]
    circuits: Annotated[Positive, Meta(description="Circuits that the job runs.")]
    shots: Annotated[Positive, Meta(description="Of each.")]


class Moved(msgspec.Struct, kw_only=True):
    """Where a job went on after a fault."""

    backend: Annotated[
        Name, Meta(description="The backend that has it now, or had it at its end.", examples=["sim.mps"])
    ]
    kind: Annotated[BackendKind, Meta(description="What really runs.")]
    reason: Annotated[
        Sentence, Meta(description="What failed it where it was first.", examples=["IonQ cannot be reached"])
    ]


class Decision(msgspec.Struct, kw_only=True):
    """The choice of a job's backend, as it was made when the job was accepted, and where it had to go on."""

    job_id: JobIdText
    decision_id: Annotated[Name, Meta(description="What the operator replays it by.")]
    decided_at: Annotated[Moment, Meta(description="When.")]
    backend: Annotated[Name, Meta(description="The backend that was chosen.")]
    reason: Annotated[Sentence, Meta(description="Why, in words.")]
    prefer: Annotated[Prefer, Meta(description="What was to count most.")]
    weights: Annotated[Weights, Meta(description="What that came to.")]
    explored: Annotated[bool, Meta(description="Whether it was taken to learn of it, though another looked better.")]
    policy_version: Annotated[Name, Meta(description="The rules, the weights and the catalogue that decided.")]
    model_version: Annotated[
        Name | None, Meta(description="The model that predicted fidelities; null where none had to.")
    ]
    program: Annotated[Program, Meta(description="What was to be run.")]
    candidates: Annotated[
        list[Candidate], Meta(description="The chosen one, then the others, best first.", max_length=1000)
    ]
    moved: Annotated[Moved | None, Meta(description="Where it went on after a fault, once; null where it did not.")] = (
        None
    )


class Decisions:
    """The operation on decisions."""

    def __init__(self, execution: ExecutionServiceAsyncStub) -> None:
        """Call `execution`, which keeps each job's decision with it."""
        self._execution = execution

    async def get(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}/decision`."""
        message = pb.GetJobRequest(requester=request.requester, job_id=path_job_id(request))
        return json_answer(decision((await self._execution.GetJob(message)).job))


def decision(job: pb.Job) -> Decision:
    """A job's decision."""
    made = job.decision
    features, weights = made.features, made.weights
    chosen = Candidate(
        backend=made.backend.backend_id,
        kind=KIND_WORDS[made.backend.kind],
        chosen=True,
        eligible=True,
        reason=made.reason,
    )
    others = [
        _predicted(
            Candidate(
                backend=each.backend_id,
                kind=KIND_WORDS.get(each.kind, "simulator"),
                chosen=False,
                eligible=each.eligible,
                reason=each.reason,
            ),
            each.estimate if each.HasField("estimate") else None,
        )
        for each in made.alternatives
    ]
    return Decision(
        job_id=shown_job_id(job.job_id),
        decision_id=made.decision_id,
        decided_at=moment(made.create_time),
        backend=made.backend.backend_id,
        reason=made.reason,
        prefer=PREFERENCE_WORDS.get(made.objective.prefer, "balanced"),
        weights=Weights(weights.fidelity, weights.time, weights.price),
        explored=made.explored,
        policy_version=made.policy_version,
        model_version=made.model_version or None,
        program=Program(
            qubits=max(1, features.qubit_count),
            depth=features.depth,
            gates=features.gate_count,
            two_qubit_gates=features.two_qubit_gate_count,
            circuits=max(1, features.circuit_count),
            shots=made.shot_count or job.shot_count,
        ),
        candidates=[_predicted(chosen, made.estimate), *others],
        moved=_moved(job),
    )


def _moved(job: pb.Job) -> Moved | None:
    if pb.JOB_STAGE_REROUTED not in job.history:
        return None
    reason = job.fault or "the backend failed it"
    return Moved(backend=job.backend_id, kind=KIND_WORDS[job.backend_kind], reason=reason)


def _predicted(candidate: Candidate, estimate: routing_pb2.Estimate | None) -> Candidate:
    if estimate is None:
        return candidate
    candidate.estimated_ms = Milliseconds(milliseconds(estimate.duration_p50), milliseconds(estimate.duration_p90))
    candidate.queue_ms = milliseconds(estimate.queue_p50)
    candidate.predicted_fidelity = PredictedFidelity(
        value=estimate.fidelity,
        low=estimate.fidelity_low,
        high=estimate.fidelity_high,
        method=estimate.fidelity_method,
        calibration_id=estimate.calibration_id or None,
    )
    candidate.backend_cost_usd = Usd(estimate.price.micros)
    candidate.utility = Utility(
        total=estimate.utility,
        fidelity=estimate.fidelity_term,
        time=estimate.time_term,
        cost=estimate.price_term,
    )
    return candidate
