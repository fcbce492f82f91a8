"""What clients send and get for random bits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.dialects.qmumma.answers import Proof
from edge.dialects.qmumma.scalars import Anchor, Cost, Count, Hash, Moment, Name, Sentence, Signature

ENTROPY_ID_PATTERN = "^qm_entropy_[0-9a-f]{32}$"
MOST_BITS = 10_000_000
Format = Literal["hex", "base64", "bytes"]
GradeWord = Literal["drbg", "full_entropy"]
_GRADE = Meta(
    description="`drbg`: the output of CTR_DRBG (AES-256, SP 800-90A), seeded from the source. `full_entropy`: "
    "conditioned bits with credited entropy for each (SP 800-90B); only from a live machine, never from a simulator."
)
_SIMULATED = Meta(
    description="Whether the source is a simulator. Then its bits are pseudo-random, credited with no entropy, and "
    "unpredictable by the generator's seed from the operating system alone."
)
_PASSED = Meta(
    description="Whether SP 800-22 was passed (Holm-Bonferroni at 0.01 over all p-values): by these bits, where "
    "1,000,000 or more were certified, else by the block that they come from."
)


class GenerateEntropy(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Random bits to be handed out, to you alone and once."""

    bits: Annotated[int, Meta(description="How many.", ge=1, le=MOST_BITS, examples=[10000])]
    format: Annotated[
        Format,
        Meta(
            description="How `data` is written; `bytes` is an array of integers. Bits that do not fill a byte sit at "
            "its high end, and zeros follow. With `Accept: application/octet-stream` the bytes themselves come."
        ),
    ] = "hex"
    certification: Annotated[bool, Meta(description="Whether to add report and signature.")] = False
    source: Annotated[
        str,
        Meta(
            description="`auto`, or a backend of `GET /v1/entropy/sources`. Unknown: 400.",
            min_length=1,
            max_length=64,
            examples=["auto"],
        ),
    ] = "auto"
    grade: Annotated[GradeWord, _GRADE] = "drbg"


class ReadSigned(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much to tell of what was signed."""

    include: Annotated[Literal["proof"], Meta(description="Adds the log's proof, for `qmumma verify`.")] | UnsetType = (
        UNSET
    )


class EntropyReport(msgspec.Struct, kw_only=True):
    """Where bits come from and what was tested."""

    source: Annotated[
        dict[str, Any],
        Meta(
            description="The draw of raw bits: backend, whether simulated, engine, calibration, circuit and its "
            "SHA-256, job, and the min-entropy that it was credited with (0 for a simulator)."
        ),
    ]
    health_tests: Annotated[
        dict[str, Any],
        Meta(description="Repetition count and adaptive proportion test (SP 800-90B, 4.4): cutoffs and what was seen."),
    ]
    sp800_90b: Annotated[
        dict[str, Any],
        Meta(description="Min-entropy of the raw bits, in bits a bit, by each of the ten non-IID estimators."),
    ]
    sp800_22: Annotated[
        dict[str, Any],
        Meta(
            description="Every p-value of all fifteen tests, with parameters; `of` says whether of `data` or of the "
            "`block`. A test that needs more bits says so under `not_applicable`."
        ),
    ]
    conditioning: Annotated[dict[str, Any], Meta(description="How raw bits became a seed or output.")]
    generator: Annotated[dict[str, Any] | None, Meta(description="The generator; null for full entropy.")]
    plot: (
        Annotated[str, Meta(description="Where the picture of the p-values is (SVG).", max_length=128)] | UnsetType
    ) = UNSET


class EntropyRecord(msgspec.Struct, kw_only=True):
    """The signed record of certified bits, and its seal."""

    type: Annotated[Literal["qmumma.entropy/v1"], Meta(description="The type of the record.")]
    entropy_id: Annotated[str, Meta(description="Its id.", pattern=ENTROPY_ID_PATTERN)]
    bits: Annotated[int, Meta(description="How many.", ge=1, le=MOST_BITS)]
    format: Annotated[Literal["hex", "base64", "bytes", "raw"], Meta(description="How they were sent; `raw` as bytes.")]
    source: Annotated[Name, Meta(description="The backend that they come from.", examples=["sim.stabilizer"])]
    simulated: Annotated[bool, _SIMULATED]
    grade: Annotated[GradeWord, _GRADE]
    nist_tests_passed: Annotated[bool, _PASSED]
    cost_usd: Annotated[Cost, Meta(description="What was charged.")]
    data_sha256: Annotated[str, Meta(description="SHA-256 of the packed bits.", pattern="^[0-9a-f]{64}$")]
    generated_at: Annotated[Moment, Meta(description="When.")]
    report: Annotated[EntropyReport, Meta(description="Where they come from and what was tested.")]
    pqc_signature: Annotated[Signature, Meta(description="Base64 of the ML-DSA-65 signature (FIPS 204) of the record.")]
    key_id: Annotated[Name, Meta(description="The signing key, in `/.well-known/jwks.json`.")]
    audit_hash: Annotated[Hash, Meta(description="SHA-256 of the record.")]
    blockchain_anchor: Annotated[Anchor, Meta(description="The log entry.")]
    proof: Annotated[Proof, Meta(description="Only with `?include=proof`.")] | UnsetType = UNSET


class Entropy(msgspec.Struct, kw_only=True):
    """Random bits. Certified ones carry the other members of `EntropyRecord` too."""

    data: Annotated[
        Annotated[str, Meta(max_length=2_500_000)]
        | Annotated[list[Annotated[int, Meta(ge=0, le=255)]], Meta(max_length=1_250_000)],
        Meta(description="The bits, as `format` asks. Nobody keeps them."),
    ]
    bits: Annotated[int, Meta(description="How many.", ge=1, le=MOST_BITS)]
    source: Annotated[Name, Meta(description="The backend that they come from.", examples=["sim.stabilizer"])]
    simulated: Annotated[bool, _SIMULATED]
    grade: Annotated[GradeWord, _GRADE]
    nist_tests_passed: Annotated[bool, _PASSED]
    cost_usd: Annotated[
        Cost, Meta(description="What was charged: $0.01 for each started 10,000 bits; 0 for a test key.")
    ]
    type: Annotated[Literal["qmumma.entropy/v1"], Meta(description="Of the signed record.")] | UnsetType = UNSET
    entropy_id: (
        Annotated[str, Meta(description="For `GET /v1/entropy/records/{id}`.", pattern=ENTROPY_ID_PATTERN)] | UnsetType
    ) = UNSET
    format: Annotated[Format, Meta(description="As asked.")] | UnsetType = UNSET
    data_sha256: (
        Annotated[str, Meta(description="SHA-256 of the packed bits.", pattern="^[0-9a-f]{64}$")] | UnsetType
    ) = UNSET
    generated_at: Annotated[Moment, Meta(description="When.")] | UnsetType = UNSET
    report: Annotated[EntropyReport, Meta(description="Where they come from.")] | UnsetType = UNSET
    pqc_signature: Annotated[Signature, Meta(description="Base64 of the ML-DSA-65 signature.")] | UnsetType = UNSET
    key_id: Annotated[Name, Meta(description="The signing key.")] | UnsetType = UNSET
    audit_hash: Annotated[Hash, Meta(description="SHA-256 of the record.")] | UnsetType = UNSET
    blockchain_anchor: Annotated[Anchor, Meta(description="The log entry.")] | UnsetType = UNSET
    proof: Annotated[Proof, Meta(description="Only with `?include=proof`.")] | UnsetType = UNSET


class EntropySource(msgspec.Struct, kw_only=True):
    """A backend as a source of randomness."""

    id: Annotated[Name, Meta(description="For `source`.", examples=["sim.stabilizer"])]
    name: Annotated[Name, Meta(description="Its name for people.")]
    simulated: Annotated[bool, _SIMULATED]
    status: Annotated[
        Literal["idle", "starting", "healthy", "quarantined"],
        Meta(
            description="`idle` was never asked, and makes its start-up test with the first request; `quarantined` "
            "failed a test, and gives nothing before it has passed another start-up test."
        ),
    ]
    reason: Annotated[Sentence, Meta(description="Why it is quarantined.")] | UnsetType = UNSET
    grades: Annotated[list[GradeWord], Meta(description="What it can give.", max_length=2)]
    claimed_min_entropy: Annotated[
        float, Meta(description="Bits that its health tests take a raw bit to be worth.", ge=0, le=1)
    ]
    assessed_min_entropy: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="What SP 800-90B said of its last raw bits, in bits a bit; null before."),
    ]
    ready_bits: Annotated[Count, Meta(description="Bits that are tested and wait in the pool.")]
    drawn_at: Annotated[Moment, Meta(description="When it was drawn from last.")] | UnsetType = UNSET


class EntropySources(msgspec.Struct):
    """The sources."""

    sources: Annotated[
        list[EntropySource], Meta(description="Live machines first, then the default one.", max_length=1000)
    ]


class BeaconValue(msgspec.Struct, kw_only=True):
    """A value of the beacon, its signed record and seal."""

    type: Annotated[Literal["qmumma.beacon/v1"], Meta(description="The type of the record.")]
    beacon_index: Annotated[Count, Meta(description="Values before it.")]
    value: Annotated[str, Meta(description="512 bits in hexadecimal.", pattern="^[0-9a-f]{128}$")]
    previous_hash: Annotated[
        Hash, Meta(description="SHA-256 of the record before it: its `audit_hash`. Zeros for the first.")
    ]
    time: Annotated[Moment, Meta(description="When it was drawn.")]
    source: Annotated[Name, Meta(description="The backend that it comes from.")]
    simulated: Annotated[bool, _SIMULATED]
    grade: Annotated[GradeWord, _GRADE]
    pqc_signature: Annotated[Signature, Meta(description="Base64 of the ML-DSA-65 signature of the record.")]
    key_id: Annotated[Name, Meta(description="The signing key, in `/.well-known/jwks.json`.")]
    audit_hash: Annotated[Hash, Meta(description="SHA-256 of the record.")]
    blockchain_anchor: Annotated[Anchor, Meta(description="The log entry.")]
    proof: Annotated[Proof, Meta(description="Only with `?include=proof`.")] | UnsetType = UNSET
