"""The evidence bundle of a job: a ZIP archive with everything that proves it, and nothing that has to be believed.

    result.json       the signed record with its signature and its proof in the log
    parameters.json   canonical; the record has its hash
    certificate.pdf   sealed twice
    audit.json        who did what on the job, with the log's proof of each batch
    jwks.json, log.vkey, roots.pem    the public keys of the day, for convenience: check against those that you keep
    README.txt

Made of the same parts the archive is the same to the byte, and without compression: then there is but one way to pack
them, and the verifier names any byte of the frame that is another. Pure.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.certificates.ledger import Line, SealedBatch
from services.certificates.tree import levels_of, path_of

AUDIT_FILE_TYPE = "qmumma.audit_export/v1"
_README = """\
Evidence of a job that Q-MUMMA ran. Check it offline, with keys that you trust:

    qmumma verify evidence.zip --jwks jwks.json --log-key log.vkey --roots roots.pem

The three files of keys in here are those of the day on which the bundle was made. Whoever could alter the bundle could
alter them too: compare them with what you kept, or with /.well-known/jwks.json, /v1/log/keys and
/v1/certificates/roots.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What goes in."""

    result: bytes
    parameters: bytes
    certificate: bytes
    audit: bytes
    jwks: bytes
    log_keys: bytes
    roots: bytes


def pack(parts: Parts, moment: dt.datetime) -> bytes:
    """The archive; every file in it has the time `moment`."""
    files = {
        "README.txt": _README.encode(),
        "result.json": parts.result,
        "parameters.json": parts.parameters,
        "certificate.pdf": parts.certificate,
        "audit.json": parts.audit,
        "jwks.json": parts.jwks,
        "log.vkey": parts.log_keys,
        "roots.pem": parts.roots,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, moment.timetuple()[:6])
            info.external_attr, info.create_system = 0o644 << 16, 3
            archive.writestr(info, content)
    return out.getvalue()


def audit_file(lines: Sequence[Line], batches: Sequence[SealedBatch], records: Mapping[int, bytes]) -> bytes:
    """Entries and the batches that anchor them, as JSON; `records` has each batch's proven record, by number."""
    levels = {batch.batch.number: levels_of(batch.hashes) for batch in batches}
    entries: list[dict[str, Any]] = [
        {
            "entry": msgspec.Raw(line.canonical),
            "batch": line.batch_number or None,
            "leaf_index": line.leaf_index if line.batch_number else None,
            "inclusion": [node.hex() for node in path_of(levels[line.batch_number], line.leaf_index)]
            if line.batch_number
            else None,
        }
        for line in lines
    ]
    body = {
        "type": AUDIT_FILE_TYPE,
        "entries": entries,
        "batches": {str(number): msgspec.Raw(record) for number, record in records.items()},
    }
    return msgspec.json.encode(body)
