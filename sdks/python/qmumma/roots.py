"""Are the roots of a certificate's seals in the log, where everybody sees them? They are told in `roots.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from qmumma.exact import UnreadableError, canonical
from qmumma.report import Check
from qmumma.verification import Trust, verify_answer

ROOT_TYPE = "qmumma.root/v1"


def examine_roots(told: Mapping[str, Any], used: Mapping[str, x509.Certificate], trust: Trust) -> Iterator[Check]:
    """Check each record of `roots.json`, and that each root in `used`, by the name of its seal, has one."""
    records = told.get("roots")
    logged: set[object] = set()
    for number, record in enumerate(records if isinstance(records, list) else ()):
        faults = list(_faults(record, trust))
        yield from (Check(f"roots.json[{number}] {fault.name}", ok=False, detail=fault.detail) for fault in faults)
        if not faults:
            logged.add(record["certificate_sha256"])
    for name, root in used.items():
        fingerprint = f"sha256:{root.fingerprint(hashes.SHA256()).hex()}"
        if fingerprint in logged:
            yield Check(f"{name} root", ok=True, detail="is signed and in the log, where everybody sees it")
        else:
            yield Check(
                f"{name} root", ok=False, detail=f"{fingerprint}: roots.json does not prove it to be in the log"
            )


def _faults(record: object, trust: Trust) -> Sequence[Check]:
    if not isinstance(record, dict) or record.get("type") != ROOT_TYPE:
        return (Check("type", ok=False, detail=f"is no record {ROOT_TYPE}"),)
    try:
        return verify_answer(canonical(record), trust).failed
    except (UnreadableError, ValueError) as error:
        return (Check("record", ok=False, detail=str(error)),)
