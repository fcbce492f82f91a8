"""The audit trail as files: JSON with its proof, an entry a line, and CSV that a spreadsheet does not execute. Pure."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
from qm.certificates.v1.certificates_pb2 import AuditEntry, ListAuditEntriesResponse

from edge.values import encode

EXPORT_TYPE = "qmumma.audit_export/v1"
COLUMNS = (
    "position",
    "time",
    "action",
    "object_id",
    "outcome",
    "user_id",
    "key_id",
    "service",
    "request_id",
    "address",
    "details",
    "event_id",
    "previous",
    "batch",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What a spreadsheet may take for the beginning of a formula or a command."""


def as_json(page: ListAuditEntriesResponse) -> bytes:
    """A page with what proves it, for `qmumma verify`."""
    return encode(
        {
            "type": EXPORT_TYPE,
            "entries": [_proven(entry) for entry in page.entries],
            "batches": {str(batch.number): msgspec.Raw(batch.proven_record) for batch in page.batches},
            "has_more": page.has_more,
        }
    )


def as_ndjson(page: ListAuditEntriesResponse) -> bytes:
    """An entry with its place in the log on each line."""
    return b"".join(encode(_proven(entry)) + b"\n" for entry in page.entries)


def as_csv(page: ListAuditEntriesResponse) -> bytes:
    """COLUMNS, every cell quoted; a cell that could begin a formula begins with an apostrophe instead."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for entry in page.entries:
        members = msgspec.json.decode(entry.canonical, type=dict[str, Any])
        members["batch"] = entry.batch_number or ""
        members["details"] = "; ".join(f"{name}={value}" for name, value in sorted(members["details"].items()))
        writer.writerow([harmless(str(members.get(name, ""))) for name in COLUMNS])
    return out.getvalue().encode()


def harmless(cell: str) -> str:
    """The cell as text, whatever a spreadsheet makes of its beginning."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _proven(entry: AuditEntry) -> dict[str, Any]:
    anchored = bool(entry.batch_number)
    return {
        "entry": msgspec.Raw(entry.canonical),
        "batch": entry.batch_number or None,
        "leaf_index": entry.leaf_index if anchored else None,
        "inclusion": [node.hex() for node in entry.inclusion] if anchored else None,
    }
