"""What is known of the types of record beyond that they are signed: one row a type.

Every signed answer has its record's members, `type` among them, and beside them those of the seal. Some have members
of their own outside the record too: a kind says which, and what they have to hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from qmumma.capsule import CAPSULE_TYPE, examine_manifest
from qmumma.entropy import ENTROPY_TYPE, examine_bits, raw_bits
from qmumma.exact import Json, canonical
from qmumma.report import Check

RESULT_TYPE = "qmumma.result/v1"
SEAL_MEMBERS = frozenset({"pqc_signature", "key_id", "audit_hash", "blockchain_anchor", "proof"})
"""What every signed answer has beside its record."""
UNSIGNED = "completed_at"
"""The member of a result that the server tells beside the signed ones: when it had signed them."""

Members = Mapping[str, Json]


def _nothing(_: Members) -> Iterable[Check]:
    return ()


def _result(record: Members) -> tuple[Json, Json]:
    told = record.get("result_object")
    if isinstance(told, dict):
        return told.get("digest"), told.get("size_bytes")
    inside = canonical(record["result"]) if "result" in record else b""
    return f"sha256:{hashlib.sha256(inside).hexdigest()}", len(inside)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of record."""

    type: str
    beside: frozenset[str] = frozenset()
    """Members of an answer that are not in its record, besides those of the seal."""
    examine: Callable[[Members], Iterable[Check]] = _nothing
    """Checks that what stands beside the record is what the record says of it; is given the whole answer."""

    download: Callable[[Members], tuple[Json, Json]] = _result
    """The digest and the size in bytes that the record tells of what is downloaded apart from it."""

    def record(self, answer: Members) -> dict[str, Json]:
        """The members that were signed."""
        return {name: value for name, value in answer.items() if name not in SEAL_MEMBERS | self.beside}


KINDS: Mapping[str, Kind] = {
    kind.type: kind
    for kind in (
        Kind(RESULT_TYPE, beside=frozenset({UNSIGNED})),  # one a line
        Kind(ENTROPY_TYPE, beside=frozenset({"data"}), examine=examine_bits, download=raw_bits),
        Kind(CAPSULE_TYPE, beside=frozenset({"manifest"}), examine=examine_manifest),
    )
}


def kind_of(record_type: str) -> Kind:
    """The kind of a type; one that has no row here holds nothing beside its record."""
    return KINDS.get(record_type, Kind(record_type))
