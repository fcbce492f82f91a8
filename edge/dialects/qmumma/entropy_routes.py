"""The declarations of the operations on random bits."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.entropy import Entropies
from edge.dialects.qmumma.entropy_types import (
    ENTROPY_ID_PATTERN,
    BeaconValue,
    Entropy,
    EntropyRecord,
    EntropySources,
    GenerateEntropy,
    ReadSigned,
)
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.headers import ACCEPT, IDEMPOTENCY_KEY, KEY_CONFLICT, REPLAYED
from edge.dialects.qmumma.links import of_bits, of_record
from edge.operations import Example, Operation, Outcome, PathField

_TAG = "Entropy"
_ENTROPY_ID = PathField(
    name="entropy_id",
    description="The id of certified bits. Those of another team do not exist for you.",
    schema={"type": "string", "pattern": ENTROPY_ID_PATTERN},
    example="qm_entropy_0199d1c27d3e7c559f5a3c0f5d2b7a10",
)
_INDEX = PathField(
    name="index",
    description="How many values came before it, or `latest`.",
    schema={"type": "string", "pattern": "^(latest|0|[1-9][0-9]{0,15})$"},
    example="latest",
)
_PLAIN = {
    "data": "A3F8C1D2E7B49C00",
    "bits": 60,
    "source": "sim.stabilizer",
    "simulated": True,
    "grade": "drbg",
    "nist_tests_passed": True,
    "cost_usd": 0.01,
}
_REPORT = {
    "source": {"id": "sim.stabilizer", "simulated": True, "credited_min_entropy_bits": 0, "raw_bits": 1048576},
    "health_tests": {"standard": "SP 800-90B, 4.4", "passed": True},
    "sp800_90b": {"min_entropy": 0.862214, "sample_bits": 1048576},
    "sp800_22": {"of": "block", "passed": True, "p_value_count": 188},
    "conditioning": {"function": "HMAC-SHA-512"},
    "generator": {"name": "CTR_DRBG", "cipher": "AES-256"},
    "plot": "/v1/entropy/records/qm_entropy_0199d1c27d3e7c559f5a3c0f5d2b7a10/plot.svg",
}
_SEAL = {
    "pqc_signature": examples.COMPLETED["pqc_signature"],
    "key_id": "vajra-2026-11",
    "audit_hash": "sha256:" + 64 * "a",
    "blockchain_anchor": examples.ANCHOR,
}
_RECORD = {
    **{name: value for name, value in _PLAIN.items() if name != "data"},
    "type": "qmumma.entropy/v1",
    "entropy_id": _ENTROPY_ID.example,
    "format": "hex",
    "data_sha256": 64 * "b",
    "generated_at": "2026-11-21T17:00:00.000000Z",
    "report": _REPORT,
    **_SEAL,
}
_BEACON = {
    "type": "qmumma.beacon/v1",
    "beacon_index": 0,
    "value": 64 * "5a",
    "previous_hash": "sha256:" + 64 * "0",
    "time": "2026-11-21T17:00:00.000000Z",
    "source": "sim.stabilizer",
    "simulated": True,
    "grade": "drbg",
    **_SEAL,
}
_VALUE = Outcome(
    status=200, description="The value.", kind=BeaconValue, examples=one("A value", _BEACON), links=of_record()
)


def entropy_operations(entropies: Entropies) -> list[Operation]:
    """Bits, their records and pictures, the sources, the beacon."""
    return [
        _generate(entropies),
        _record(entropies),
        _plot(entropies),
        _sources(entropies),
        _newest(entropies),
        _beacon(entropies),
    ]


def _generate(entropies: Entropies) -> Operation:
    return Operation(
        id="generateEntropy",
        method="POST",
        path="/v1/entropy/generate",
        handler=entropies.generate,
        tag=_TAG,
        summary="Get random bits",
        description="$0.01 for each started 10,000 bits; a test key pays nothing. No bit is handed out twice. "
        "Certified bits come with every p-value of SP 800-22, the min-entropy of the raw source by SP 800-90B, its "
        "health tests, and an ML-DSA-65 signature over all of it and the bits' digest. Below 1,000,000 bits the tests "
        "are those of the block that the bits come from (`report.sp800_22.of`). With `?include=proof` it carries "
        "its proof in the log, and `qmumma verify` checks it offline, bits and all. Nobody keeps your bits, unless "
        "you send an `Idempotency-Key`: then the answer is kept for a day, encrypted.",
        body=GenerateEntropy,
        query=ReadSigned,
        body_examples={
            "plain": Example(summary="256 bits", value={"bits": 256}),
            "certified": Example(summary="Certified", value={"bits": 10000, "format": "hex", "certification": True}),
        },
        header_fields=(IDEMPOTENCY_KEY, ACCEPT),
        outcomes=(
            Outcome(
                status=200,
                description="The bits.",
                kind=Entropy,
                headers={
                    "Link": "The record of certified bits (`rel=describedby`).",
                    **REPLAYED,
                },
                examples={
                    "plain": Example(summary="60 bits", value=_PLAIN),
                    "certified": Example(summary="Certified", value={"data": _PLAIN["data"], **_RECORD}),
                },
                links=of_bits(),
            ),
        ),
        errors={
            400: "A field is missing, unknown or out of range, the source is unknown, or the grade is not one it has.",
            402: "The team's budget does not cover it.",
            409: KEY_CONFLICT,
            503: "The source has failed a health test, or had no tested block within ten seconds: see `Retry-After`.",
        },
    )


def _record(entropies: Entropies) -> Operation:
    return Operation(
        id="getEntropyRecord",
        method="GET",
        path="/v1/entropy/records/{entropy_id}",
        handler=entropies.record,
        tag=_TAG,
        summary="Read the record of certified bits",
        description="The signed record, without the bits: nobody has kept them. With `?include=proof` it can be "
        "checked offline, and the bits against its `data_sha256`.",
        query=ReadSigned,
        path_fields=(_ENTROPY_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The record.",
                kind=EntropyRecord,
                examples=one("A record", _RECORD),
                links=of_record(),
            ),
        ),
        errors={404: "There is no such record, or it belongs to another team."},
    )


def _plot(entropies: Entropies) -> Operation:
    return Operation(
        id="getEntropyPlot",
        method="GET",
        path="/v1/entropy/records/{entropy_id}/plot.svg",
        handler=entropies.plot,
        tag=_TAG,
        summary="See the p-values of certified bits",
        description="Every p-value of SP 800-22, by test and in order, as SVG.",
        path_fields=(_ENTROPY_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The picture.",
                media_type="image/svg+xml",
                examples=one("A picture", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
            ),
        ),
        errors={404: "There is no such record, or it belongs to another team."},
    )


def _sources(entropies: Entropies) -> Operation:
    source = {
        "id": "sim.stabilizer",
        "name": "Stabilizer simulator",
        "simulated": True,
        "status": "healthy",
        "grades": ["drbg"],
        "claimed_min_entropy": 0.7,
        "assessed_min_entropy": 0.862214,
        "ready_bits": 20971520,
        "drawn_at": "2026-11-21T17:00:00Z",
    }
    failed = {**source, "id": "sim.mps", "status": "quarantined", "ready_bits": 0, "reason": "Its bits were stuck."}
    return Operation(
        id="listEntropySources",
        method="GET",
        path="/v1/entropy/sources",
        handler=entropies.sources,
        tag=_TAG,
        summary="List the sources of randomness",
        description="Every backend that can be drawn from, whether it is simulated, and how it stands.",
        outcomes=(
            Outcome(
                status=200,
                description="The sources.",
                kind=EntropySources,
                examples=one("Two sources", {"sources": [source, failed]}),
            ),
        ),
    )


def _newest(entropies: Entropies) -> Operation:
    return Operation(
        id="getNewestBeacon",
        method="GET",
        path="/v1/entropy/beacon",
        handler=entropies.beacon,
        tag=_TAG,
        summary="Newest value of the public beacon",
        description="512 bits every hour, chained by hash, signed and in the transparency log. Never use them as a "
        "secret: they are public.",
        query=ReadSigned,
        outcomes=(_VALUE,),
        errors={404: "It has no value yet."},
        authenticated=False,
    )


def _beacon(entropies: Entropies) -> Operation:
    return Operation(
        id="getBeacon",
        method="GET",
        path="/v1/entropy/beacon/{index}",
        handler=entropies.beacon,
        tag=_TAG,
        summary="A value of the public beacon",
        description="By its index, or `latest`.",
        query=ReadSigned,
        path_fields=(_INDEX,),
        outcomes=(_VALUE,),
        errors={404: "There is no such value."},
        authenticated=False,
    )
