"""The records that are signed: of certified bits, and of the beacon. Pure.

qmumma.entropy/v1  the members of the public answer, but for `data`: of that, SHA-256 of the packed bits
qmumma.beacon/v1   a value, and the hash of the record before it
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import rfc8785

from services.entropy import conditioning, drbg
from services.entropy.block import Grade, OpenBlock

ENTROPY_TYPE = "qmumma.entropy/v1"
BEACON_TYPE = "qmumma.beacon/v1"
FORMATS = {1: "hex", 2: "base64", 3: "bytes", 4: "raw"}
"""By the proto's Encoding."""
MICROS = 1_000_000
P_VALUE_DIGITS = 9
OWN_TEST_BITS = 1_000_000
"""Requests of as many bits are tested themselves: SP 800-22 needs them for all of its tests."""
ZERO_HASH = "sha256:" + 64 * "0"


@dataclass(frozen=True, slots=True)
class Certified:
    """What is certified of an answer."""

    entropy_id: UUID
    data: bytes
    bit_count: int
    format: str
    block: OpenBlock
    tests: dict[str, Any]
    tests_of: str
    """`data`, or `block` for that which they come from."""
    cost: int
    """Micro-dollars."""
    generate_time: dt.datetime


def entropy_record(certified: Certified) -> bytes:
    """The record of certified bits, canonical JSON (RFC 8785)."""
    block = certified.block
    return rfc8785.dumps(
        {
            "type": ENTROPY_TYPE,
            "entropy_id": public_id(certified.entropy_id),
            "bits": certified.bit_count,
            "format": certified.format,
            "source": block.provenance.source.source_id,
            "simulated": block.provenance.simulated,
            "grade": block.grade.word,
            "nist_tests_passed": certified.tests["passed"],
            "cost_usd": certified.cost / MICROS,
            "data_sha256": hashlib.sha256(certified.data).hexdigest(),
            "generated_at": rfc3339(certified.generate_time),
            "report": {
                **block.provenance.report,
                "sp800_22": {
                    "standard": "SP 800-22 rev. 1a",
                    "of": certified.tests_of,
                    "block_id": str(block.block_id),
                    "verdict": "Holm-Bonferroni over all p-values",
                    **_rounded(certified.tests),
                },
                "conditioning": {
                    "standard": "SP 800-90B, 3.1.5.1.1",
                    "function": conditioning.FUNCTION,
                    "output_bits": 8 * conditioning.OUTPUT_BYTES,
                    "key": f"{8 * conditioning.KEY_BYTES} bits of the kernel's generator, credited with nothing",
                },
                "generator": _generator(block.grade),
                "plot": f"/v1/entropy/records/{public_id(certified.entropy_id)}/plot.svg",
            },
        }
    )


def _generator(grade: Grade) -> dict[str, Any] | None:
    if grade is Grade.FULL_ENTROPY:
        return None
    return {
        "standard": "SP 800-90A rev. 1, 10.2.1",
        "name": "CTR_DRBG",
        "cipher": "AES-256",
        "derivation_function": True,
        "security_strength_bits": drbg.SECURITY_BITS,
        "seeded": "anew for every block, with raw bits of its own",
    }


def _rounded(tests: dict[str, Any]) -> dict[str, Any]:
    rounded = [
        {**test, "p_values": [round(value, P_VALUE_DIGITS) for value in test["p_values"]]} for test in tests["tests"]
    ]
    return {**tests, "smallest_p_value": round(tests["smallest_p_value"], P_VALUE_DIGITS), "tests": rounded}


def beacon_record(index: int, value: bytes, *, previous: bytes | None, block: OpenBlock, time: dt.datetime) -> bytes:
    """The record of a value of the beacon; `previous` is the record before it."""
    return rfc8785.dumps(
        {
            "type": BEACON_TYPE,
            "beacon_index": index,
            "value": value.hex(),
            "previous_hash": ZERO_HASH if previous is None else f"sha256:{hashlib.sha256(previous).hexdigest()}",
            "time": rfc3339(time),
            "source": block.provenance.source.source_id,
            "simulated": block.provenance.simulated,
            "grade": block.grade.word,
        }
    )


def public_id(entropy_id: UUID) -> str:
    """An answer's id as it is shown."""
    return f"qm_entropy_{entropy_id.hex}"


def rfc3339(moment: dt.datetime) -> str:
    """A moment in UTC, with microseconds and `Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
