"""What clients of the Q-MUMMA dialect send: the types that validate it and document it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.dialects.qmumma.ids import ANCHOR_PATTERN, JOB_ID_PATTERN, QUOTE_ID_PATTERN
from edge.dialects.qmumma.objectives import Routing
from edge.money import Usd

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
JobPriority = Literal["standard", "priority"]
MAX_SEED = 2**63 - 1


class QuoteJob(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A job as it would be submitted."""

    algorithm_id: Annotated[
        str,
        Meta(
            description="The algorithm, as `GET /v1/marketplace/algorithms` lists it. Unknown: 404.",
            min_length=1,
            max_length=128,
            examples=["vqe.molecular.v2"],
        ),
    ]
    hardware: Annotated[
        str,
        Meta(
            description='`"auto"` lets the router choose among everything that can run the job; else a backend id. '
            "Unknown: 400; offline: 503 `hardware_unavailable`, which `auto` avoids while anything can run the job.",
            min_length=1,
            max_length=64,
            examples=["auto", "sim.statevector"],
        ),
    ] = "auto"
    shots: Annotated[
        int,
        Meta(description="How often each circuit is measured.", ge=1024, le=131072, examples=[4096]),
    ] = 4096
    parameters: Annotated[
        dict[str, Any],
        Meta(
            description="The algorithm's own parameters, validated by its JSON Schema "
            "(`GET /v1/marketplace/algorithms/{id}`). Integers beyond 2^53 must be sent as strings; at most 30 levels.",
            examples=[{"molecule": "H2O"}],
        ),
    ] = msgspec.field(default_factory=dict)
    priority: Annotated[
        JobPriority,
        Meta(description="`priority` goes first, for a surcharge, on plans that include it (403 otherwise)."),
    ] = "standard"
    webhook_url: (
        Annotated[
            str,
            Meta(
                description="Is called when the job completes, fails, is cancelled or is rerouted, signed with the "
                "team's secret (`GET /v1/webhooks/secret`). https, port 443 or 1024 and above, to a public address; no "
                "user, password or fragment; http only where the operator allows it.",
                min_length=1,
                max_length=2048,
                examples=["https://your.app/hook"],
                extra_json_schema={"format": "uri"},
            ),
        ]
        | UnsetType
    ) = UNSET
    seed: (
        Annotated[
            int,
            Meta(
                description="Makes simulators repeat the result bit for bit: 0 to 2^63-1. Default: derived from the "
                "job id.",
                examples=[7],
                ge=0,
                le=MAX_SEED,
            ),
        ]
        | UnsetType
    ) = UNSET
    allow_twin: Annotated[
        bool,
        Meta(
            description="Lets the twin of a live machine run the job where the machine fails it and the price is the "
            "same. Without it the job fails then, and is not billed."
        ),
    ] = False
    max_cost_usd: (
        Annotated[
            Usd,
            Meta(
                description="Refuse the job (400) rather than spend more; an exact number of at most 6 decimals.",
                examples=[60.0],
                extra_json_schema={"minimum": 0, "maximum": 10**9},
            ),
        ]
        | UnsetType
    ) = UNSET
    routing: (
        Annotated[
            Routing,
            Meta(description="What counts in the choice of the backend, and limits that rule backends out."),
        ]
        | UnsetType
    ) = UNSET


class SubmitJob(QuoteJob, forbid_unknown_fields=True, kw_only=True):
    """A job to run: which algorithm, with which parameters, on what, and how often."""

    quote_id: (
        Annotated[
            str,
            Meta(
                description="A quote of `POST /v1/jobs/quote` for this very body, without `quote_id`: the job runs on "
                "its backend and never costs more. Unknown: 404; used, expired or for another body: 409.",
                pattern=QUOTE_ID_PATTERN,
                examples=["qm_quote_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
            ),
        ]
        | UnsetType
    ) = UNSET


class ReadJob(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to read a job."""

    wait: Annotated[
        int,
        Meta(
            description="Hold the answer for up to this many seconds until the job changes, which need not be its end: "
            "`queued` to `running` is a change, and so is progress. It changes from what `If-None-Match` names, else "
            "from what it is now. A job that has ended is answered at once; for another, read again.",
            ge=0,
            le=30,
            examples=[20],
        ),
    ] = 0
    include: (
        Annotated[
            Literal["proof"],
            Meta(description="`proof` adds the log entry, inclusion proof and checkpoint to a completed job."),
        ]
        | UnsetType
    ) = UNSET


class ListJobs(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of the team's jobs to list, newest first."""

    limit: Annotated[int, Meta(description="Jobs on the page.", ge=1, le=100, examples=[20])] = 20
    before: (
        Annotated[
            str,
            Meta(
                description="Only jobs newer than this one, the nearest; not together with `after`.",
                examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
                pattern=JOB_ID_PATTERN,
                max_length=39,
            ),
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            str,
            Meta(
                description="Only jobs older than this one: the last of the page before; not together with `before`.",
                examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
                pattern=JOB_ID_PATTERN,
                max_length=39,
            ),
        ]
        | UnsetType
    ) = UNSET
    status: Annotated[JobStatus, Meta(description="Only jobs of this status.")] | UnsetType = UNSET


class ListAlgorithms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which algorithms to list."""

    category: (
        Annotated[
            str,
            Meta(
                description="Only algorithms of this category.",
                examples=["drug_discovery"],
                max_length=64,
            ),
        ]
        | UnsetType
    ) = UNSET
    q: (
        Annotated[
            str,
            Meta(
                description="Only algorithms whose id, name, category or description holds this text, in any case.",
                examples=["vqe"],
                max_length=200,
            ),
        ]
        | UnsetType
    ) = UNSET


class SignedAnswer(msgspec.Struct, kw_only=True):
    """An answer that was signed, exactly as it was given, with all of its members, with or without `proof`."""

    type: Annotated[
        str,
        Meta(
            description="The type of its record, which says what else is checked.",
            pattern=r"^[a-z][a-z0-9]*(\.[a-z0-9_]+)+/v[1-9][0-9]*$",
            max_length=64,
        ),
    ]

    pqc_signature: Annotated[
        str,
        Meta(
            description="Base64 of the ML-DSA-65 signature, 3309 bytes.",
            pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
            min_length=4,
            max_length=8192,
        ),
    ]
    key_id: Annotated[str, Meta(description="The signing key.", min_length=1, max_length=128)]
    audit_hash: Annotated[
        str,
        Meta(description="SHA-256 of the canonical record.", pattern="^sha256:[0-9a-f]{64}$"),
    ]
    blockchain_anchor: Annotated[str, Meta(description="The name of the log entry.", pattern=ANCHOR_PATTERN)]
    proof: (
        Annotated[
            dict[str, Any],
            Meta(description="As `?include=proof` adds it; then the log's proof is checked as well."),
        ]
        | UnsetType
    ) = UNSET
