"""What the Q-MUMMA dialect answers: the types that document it, and that encode what is not spliced from a record."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.dialects.qmumma.requests import JobPriority, JobStatus
from edge.dialects.qmumma.scalars import (
    Anchor,
    Cost,
    Count,
    Document,
    Extent,
    Hash,
    JobIdText,
    Moment,
    Name,
    Node,
    Positive,
    Sentence,
    Signature,
)


class Alternative(msgspec.Struct, kw_only=True):
    """A backend that was not chosen."""

    backend: Annotated[Name, Meta(description="Its id.", examples=["sim.mps"])]
    eligible: Annotated[bool, Meta(description="Whether it could have run the job.")]
    reason: Annotated[Sentence, Meta(description="Why it was not chosen.")]
    estimated_ms: (
        Annotated[Count, Meta(description="Predicted queue and run, median; absent where it could not run the job.")]
        | UnsetType
    ) = UNSET


class RoutingNote(msgspec.Struct, kw_only=True):
    """Where the job was sent, and why."""

    backend: Annotated[Name, Meta(description="The chosen backend.", examples=["sim.statevector"])]
    kind: Annotated[
        Literal["simulator", "twin", "live"],
        Meta(
            description="What really runs it: a simulation without noise, one of a machine with the noise of its "
            "calibration, or the machine itself."
        ),
    ]
    reason: Annotated[Sentence, Meta(description="Why, in words.")]
    alternatives: Annotated[list[Alternative], Meta(description="The other backends, best first.", max_length=1000)]


class SubmittedJob(msgspec.Struct, kw_only=True):
    """An accepted job. A repeat with the same `Idempotency-Key` answers exactly this again."""

    job_id: JobIdText
    status: Annotated[Literal["queued"], Meta(description="Always `queued`: the job was accepted.")] = "queued"
    hardware: Annotated[Name, Meta(description="The backend that was chosen.", examples=["sim.statevector"])]
    estimated_ms: Annotated[Count, Meta(description="Predicted queue and run, median.", examples=[8400])]
    cost_usd: Annotated[Cost, Meta(description="What is held for the job; charged when it completes.", examples=[50.0])]
    routing: Annotated[RoutingNote, Meta(description="Where the job was sent, and why.")]


class JobFailure(msgspec.Struct):
    """Why a job failed."""

    type: Annotated[
        Name, Meta(description="A stable word.", examples=["hardware_unavailable", "server_error", "bad_request"])
    ]
    message: Annotated[Sentence, Meta(description="Why, for people.")]


class Progress(msgspec.Struct):
    """How far a running job is."""

    fraction: Annotated[
        float,
        Meta(
            description="From 0 to 1, as its program tells; while that is silent, by the share of the predicted time.",
            ge=0,
            le=1,
            examples=[0.4],
        ),
    ]
    message: Annotated[Sentence, Meta(description="What it is doing, for people.")]


class JobSummary(msgspec.Struct, kw_only=True):
    """A job without its result."""

    job_id: JobIdText
    status: Annotated[JobStatus, Meta(description="Where the job is in its life.")]
    algorithm_id: Annotated[Name, Meta(description="The algorithm.", examples=["vqe.molecular.v2"])]
    hardware: Annotated[Name, Meta(description="The backend that runs or ran it.", examples=["sim.statevector"])]
    shots: Annotated[Positive, Meta(description="How often each circuit is measured.", examples=[4096])]
    priority: Annotated[JobPriority, Meta(description="The queue it waited in.")]
    created_at: Annotated[Moment, Meta(description="When it was accepted.")]
    cost_usd: Annotated[
        Cost,
        Meta(
            description="Held while it runs, charged when it completes, 0 when it was cancelled or failed by a fault "
            "of hardware or ours.",
            examples=[50.0],
        ),
    ]
    progress: Annotated[Progress, Meta(description="How far it is; only while it runs.")] | UnsetType = UNSET
    error: Annotated[JobFailure, Meta(description="Why it failed; only then.")] | UnsetType = UNSET


class Execution(msgspec.Struct, kw_only=True):
    """What made the result."""

    engine: Annotated[Name, Meta(description="The engine.", examples=["aer"])]
    engine_version: Annotated[Name, Meta(description="Its version.", examples=["0.18.2"])]
    simulated: Annotated[bool, Meta(description="Whether a simulator made it.")]
    method: Annotated[Name, Meta(description="The engine's method.", examples=["statevector"])]
    seed: Annotated[
        Name | None,
        Meta(description="What repeats it bit for bit, in decimal, since it may pass 2^53; null where nothing does."),
    ] = None
    calibration_id: Annotated[
        Name | None, Meta(description="The calibration behind the noise; null without noise.")
    ] = None
    duration_ms: Annotated[Extent, Meta(description="How long the run took, parsing included.", examples=[41])]
    device_ms: Annotated[Extent | None, Meta(description="How long its circuits took, compilation included.")] = None
    circuits: Annotated[
        Count | None, Meta(description="Circuits that were run for it; null where it read states without running one.")
    ] = None
    shots_total: Annotated[Count | None, Meta(description="Shots of those circuits together; null likewise.")] = None
    stages: Annotated[Stages, Meta(description="When the job reached each stage.")] | UnsetType = UNSET
    transpiled: Annotated[
        Transpiled | None, Meta(description="The circuit as it was fitted to the device; null where none was.")
    ] = None
    versions: (
        Annotated[
            dict[str, str],
            Meta(
                description="Of what ran besides the engine: this service, the algorithm, Qiskit (parser, transpiler).",
                examples=[{"algorithm": "1.0.0", "qiskit": "2.6.2", "qmumma": "0.1.0"}],
            ),
        ]
        | UnsetType
    ) = UNSET


class Stages(msgspec.Struct, kw_only=True):
    """When the job reached each stage."""

    accepted_at: Annotated[Moment, Meta(description="It was accepted, and began to wait.")]
    claimed_at: Annotated[Moment | None, Meta(description="A worker first took it.")] = None
    run_began_at: Annotated[Moment | None, Meta(description="The run that gave the result began, with parsing.")] = None
    run_ended_at: Annotated[Moment, Meta(description="Its result was there; then it was stored, signed and paid.")]


class Transpiled(msgspec.Struct, kw_only=True):
    """The circuit that the device ran; of several the one with the most gates on two qubits."""

    layout: Annotated[
        list[Count | None],
        Meta(
            description="The device's qubit on which each qubit of the program begins; null for an idle one.",
            max_length=100_000,
        ),
    ]
    depth: Annotated[Count, Meta(description="Its longest chain of operations.", examples=[31])]
    gates: Annotated[Count, Meta(description="Its gates.", examples=[57])]
    two_qubit_gates: Annotated[Count, Meta(description="Its gates on two qubits.", examples=[9])]
    optimization_level: Annotated[int, Meta(description="The transpiler's effort.", ge=0, le=3, examples=[2])]
    openqasm: Annotated[Document | None, Meta(description="Its OpenQASM 3 text, where it has at most 500 gates.")] = (
        None
    )


class ResultObject(msgspec.Struct, kw_only=True):
    """A result that is not in the job but beside it: `GET /v1/jobs/{job_id}/result` gives the bytes."""

    digest: Annotated[Hash, Meta(description="SHA-256 of its bytes.")]
    size_bytes: Annotated[Positive, Meta(description="How many they are.", examples=[2097152])]
    media_type: Annotated[Name, Meta(description="Their form: canonical JSON.", examples=["application/json"])]


class Proof(msgspec.Struct, kw_only=True):
    """The log's proof that the result was published: RFC 6962, C2SP tlog-checkpoint."""

    leaf: Annotated[Document, Meta(description="The canonical log entry; SHA-256 of a zero byte and it is the anchor.")]
    leaf_index: Annotated[Count, Meta(description="Entries before it.")]
    tree_size: Annotated[Positive, Meta(description="Entries in the tree that the proof is for.")]
    inclusion: Annotated[
        list[Node], Meta(description="Base64 of the hashes from the leaf up to the root.", max_length=64)
    ]
    inclusion_digests: Annotated[
        list[Hash],
        Meta(description="SHA-256 of each hash of `inclusion`, to name one that was altered.", max_length=64),
    ]
    checkpoint: Annotated[Document, Meta(description="The signed note with the tree's size and root.")]
    digests: Annotated[
        dict[str, Hash],
        Meta(description="SHA-256 of each member's RFC 8785 form, to name a member that was altered."),
    ]


class Job(JobSummary, kw_only=True):
    """A job. Members from `type` on are there once it is completed; `progress` and `error` then are not.

    The result, and all else that `pqc_signature` seals, is sent byte for byte as it was signed.
    """

    type: (
        Annotated[
            Literal["qmumma.result/v1"],
            Meta(description="The type of the signed record, and the context of its signature."),
        ]
        | UnsetType
    ) = UNSET
    qubits: Annotated[Count, Meta(description="Qubits of the backend.", examples=[27])] | UnsetType = UNSET
    qubits_used: Annotated[Count, Meta(description="Qubits that the job used.", examples=[4])] | UnsetType = UNSET
    parameters_hash: (
        Annotated[Hash, Meta(description="SHA-256 of the parameters' RFC 8785 form, defaults included.")] | UnsetType
    ) = UNSET
    result: Annotated[dict[str, Any], Meta(description="By the algorithm's result schema.")] | UnsetType = UNSET
    result_object: (
        Annotated[
            ResultObject,
            Meta(description="Instead of `result`, where that would make the signed record longer than 1 MiB."),
        ]
        | UnsetType
    ) = UNSET
    fidelity: Annotated[Name, Meta(description="How close to the ideal it came.", examples=["99.24%"])] | UnsetType = (
        UNSET
    )
    fidelity_method: (
        Annotated[
            Literal["ideal_comparison", "calibration_estimate", "exact", "unknown"],
            Meta(description="How the fidelity was found."),
        ]
        | UnsetType
    ) = UNSET
    executed_at: Annotated[Moment, Meta(description="When it ended.")] | UnsetType = UNSET
    execution: Annotated[Execution, Meta(description="What made the result.")] | UnsetType = UNSET
    pqc_signature: (
        Annotated[Signature, Meta(description="Base64 of the ML-DSA-65 signature (FIPS 204) of the record.")]
        | UnsetType
    ) = UNSET
    key_id: (
        Annotated[
            Name,
            Meta(description="The signing key, in `/.well-known/jwks.json`.", examples=["vajra-2026-11"]),
        ]
        | UnsetType
    ) = UNSET
    audit_hash: Annotated[Hash, Meta(description="SHA-256 of the record's RFC 8785 form.")] | UnsetType = UNSET
    blockchain_anchor: (
        Annotated[
            Anchor,
            Meta(description="The log entry, for `/v1/anchors/{txid}`."),
        ]
        | UnsetType
    ) = UNSET
    completed_at: (
        Annotated[
            Moment, Meta(description="When it had been signed and paid. Nothing signs it: not with `?include=proof`.")
        ]
        | UnsetType
    ) = UNSET
    proof: Annotated[Proof, Meta(description="Only with `?include=proof`.")] | UnsetType = UNSET


class JobPage(msgspec.Struct):
    """A page of jobs."""

    jobs: Annotated[list[JobSummary], Meta(description="Newest first.", max_length=100)]
    has_more: Annotated[bool, Meta(description="Whether there are more in the direction of the page.")]
