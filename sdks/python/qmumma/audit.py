"""Is an audit trail genuine? Each entry, its link to the one before, and its batch's root in the log.

entry -> hash -> inclusion path -> root of its batch <- signed record of the batch <- the log
entry.previous = hash of the entry before, in the same team
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qmumma.exact import Json, UnkeptNumberError, canonical, parse_object
from qmumma.merkle import hash_leaf, root_of
from qmumma.report import Check, Report
from qmumma.verification import Trust, verify_answer

EXPORT_TYPE = "qmumma.audit_export/v1"
ENTRY_TYPE = "qmumma.audit_entry/v1"
BATCH_TYPE = "qmumma.audit/v1"
BEGINNING = f'{{"type":"{EXPORT_TYPE}"'.encode()


def verify_audit(document: bytes, trust: Trust) -> Report:
    """Check an export, as `GET /v1/audit` gives it, against keys that you trust."""
    try:
        members: dict[str, Any] = parse_object(document, "the audit trail")
    except UnkeptNumberError as fault:
        return Report((Check(fault.place, ok=False, detail=f"{fault.literal} is no number that an entry can hold"),))
    entries, batches = members.get("entries"), members.get("batches")
    if not isinstance(entries, list) or not isinstance(batches, dict):
        return Report((Check("entries", ok=False, detail="missing: this is no export of an audit trail"),))
    checks = [*_batches(batches, trust), *_links(entries)]
    failed = [check for number, entry in enumerate(entries) for check in _entry(number, entry, batches)]
    waiting = sum(1 for entry in entries if isinstance(entry, dict) and entry.get("batch") is None)
    if not failed:
        checks.append(Check("entries", ok=True, detail=f"{len(entries) - waiting} of {len(entries)} are in the log"))
    notes = (f"{waiting} entries were not in the log yet: export them again later",) if waiting else ()
    return Report((*checks, *failed), notes)


def _batches(batches: dict[str, Json], trust: Trust) -> Iterator[Check]:
    """The signed record of each batch; only what does not hold is told one by one."""
    for number, record in batches.items():
        name = f"batches.{number}"
        if not isinstance(record, dict) or record.get("type") != BATCH_TYPE or str(record.get("batch")) != number:
            yield Check(name, ok=False, detail=f"is no record {BATCH_TYPE} of this number")
            continue
        report = verify_answer(canonical(record), trust)
        for check in report.failed:
            yield Check(f"{name} {check.name}", ok=False, detail=check.detail)
        if report.ok:
            yield Check(name, ok=True, detail=f"is signed and in the log: {len(report.checks)} checks hold")


def _links(entries: list[Any]) -> Iterator[Check]:
    """Each entry has the hash of the one before it; where a filter left some out, they cannot be compared."""
    linked = compared = 0
    before: dict[str, Any] | None = None
    for number, outer in enumerate(entries):
        entry = outer.get("entry") if isinstance(outer, dict) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("position"), int):
            yield Check(f"entries[{number}]", ok=False, detail="is no entry")
            return
        if before is not None and entry["position"] <= before["position"]:
            yield Check(f"entries[{number}].position", ok=False, detail="does not come after the one before it")
        elif before is not None and entry["position"] == before["position"] + 1:
            compared += 1
            if entry.get("previous") == f"sha256:{hash_leaf(canonical(before)).hex()}":
                linked += 1
            else:
                yield Check(f"entries[{number}].previous", ok=False, detail="is not the hash of the entry before it")
        before = entry
    if linked == compared:
        yield Check("links", ok=True, detail=f"{linked} entries follow each other and are linked by hash")


def _entry(number: int, outer: object, batches: dict[str, Any]) -> Iterator[Check]:
    """What does not hold of an entry's place in its batch."""
    name = f"entries[{number}]"
    if not isinstance(outer, dict) or not isinstance(outer.get("entry"), dict):
        return
    if outer.get("batch") is None:
        return
    record = batches.get(str(outer["batch"]), {})
    try:
        path = tuple(bytes.fromhex(node) for node in outer["inclusion"])
        root = root_of(hash_leaf(canonical(outer["entry"])), outer["leaf_index"], record["entries"], path)
        holds = root is not None and record["root"] == f"sha256:{root.hex()}"
    except (KeyError, TypeError, ValueError):
        yield Check(name, ok=False, detail="its place in the log is malformed")
        return
    if outer["entry"].get("type") != ENTRY_TYPE:
        yield Check(f"{name}.type", ok=False, detail=f"must be {ENTRY_TYPE}")
    if not holds:
        yield Check(name, ok=False, detail="is not what the log has: its path does not lead to the root of its batch")
