"""Is an audit trail genuine? Each entry, its link to the one before, and its batch's root in the log.

entry -> hash -> inclusion path -> root of its batch <- signed record of the batch <- the log
entry.previous = hash of the entry before, in the same team
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from qmumma.exact import Json, UnkeptNumberError, canonical, parse_object
from qmumma.merkle import hash_leaf, root_of
from qmumma.report import Check, Report
from qmumma.verification import Trust, verify_answer

EXPORT_TYPE = "qmumma.audit_export/v1"
ENTRY_TYPE = "qmumma.audit_entry/v1"
BATCH_TYPE = "qmumma.audit/v1"
_HASH = re.compile(r"[0-9a-f]{64}")
_EXPORT = frozenset({"type", "entries", "batches", "has_more"})
_PLACED = frozenset({"entry", "batch", "leaf_index", "inclusion"})
"""Members of an export, and of each of its entries."""
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
    notes: list[str] = []
    checks = [*_strangers("", members, _EXPORT), *_batches(batches, trust, notes), *_links(entries)]
    failed = [check for number, entry in enumerate(entries) for check in _entry(number, entry, batches)]
    waiting = [number for number, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("batch") is None]
    if not failed:
        checks.append(
            Check("entries", ok=True, detail=f"{len(entries) - len(waiting)} of {len(entries)} are in the log")
        )
    notes += [f"entries[{number}] was not in the log yet, and nothing proves it: export it again" for number in waiting]
    positions = [entry["entry"]["position"] for entry in entries] if all(check.ok for check in checks) else []
    if left := sum(after - before - 1 for before, after in pairwise([0, *positions])):
        notes.append(
            f"{left} entries of the team before the last one here are not in this file: nothing is said of them"
        )
    if members.get("has_more") is True:
        notes.append("there are later entries than those in this file: has_more")
    return Report((*checks, *failed), tuple(dict.fromkeys(notes)))


def _strangers(place: str, members: dict[str, Any], known: frozenset[str]) -> Iterator[Check]:
    """What the export adds to what was signed has these members and no other."""
    for name in sorted(members.keys() - known):
        yield Check(f"{place}{name}", ok=False, detail="does not belong into an export of an audit trail")
    if type(members.get("has_more", False)) is not bool:
        yield Check(f"{place}has_more", ok=False, detail="must be true or false")


def _batches(batches: dict[str, Json], trust: Trust, notes: list[str]) -> Iterator[Check]:
    """The signed record of each batch; only what does not hold is told one by one. Adds to `notes`."""
    for number, record in batches.items():
        name = f"batches.{number}"
        if not isinstance(record, dict) or record.get("type") != BATCH_TYPE or str(record.get("batch")) != number:
            yield Check(name, ok=False, detail=f"is no record {BATCH_TYPE} of this number")
            continue
        report = verify_answer(canonical(record), trust)
        notes += report.notes
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


def _node(text: str) -> bytes:
    """A hash of a path, in its one writing; ValueError where it is none."""
    if _HASH.fullmatch(text) is None:
        message = "must be 64 digits, 0 to 9 and a to f"
        raise ValueError(message)
    return bytes.fromhex(text)


def _entry(number: int, outer: object, batches: dict[str, Any]) -> Iterator[Check]:
    """What does not hold of an entry's place in its batch."""
    name = f"entries[{number}]"
    if not isinstance(outer, dict) or not isinstance(outer.get("entry"), dict):
        return
    yield from _strangers(f"{name}.", outer, _PLACED)
    if outer.get("batch") is None:
        if outer.get("leaf_index") is not None or outer.get("inclusion") is not None:
            yield Check(f"{name}.batch", ok=False, detail="is missing, but a place in a batch is told")
        return
    record = batches.get(str(outer["batch"]), {})
    try:
        path = tuple(_node(text) for text in outer["inclusion"])
        root = root_of(hash_leaf(canonical(outer["entry"])), outer["leaf_index"], record["entries"], path)
        holds = root is not None and record["root"] == f"sha256:{root.hex()}"
    except (KeyError, TypeError, ValueError):
        yield Check(name, ok=False, detail="its place in the log is malformed")
        return
    if outer["entry"].get("type") != ENTRY_TYPE:
        yield Check(f"{name}.type", ok=False, detail=f"must be {ENTRY_TYPE}")
    if not holds:
        yield Check(name, ok=False, detail="is not what the log has: its path does not lead to the root of its batch")
