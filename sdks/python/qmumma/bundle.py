"""Is an evidence bundle genuine? Each file in it by its own proof, and that they are about the same job."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from qmumma.audit import verify_audit
from qmumma.certificate import verify_certificate
from qmumma.exact import UnkeptNumberError, UnreadableError, parse_object
from qmumma.pdf import attachments_of
from qmumma.report import Check, Report
from qmumma.verification import Trust, verify_answer

BEGINNING = b"PK\x03\x04"
_FILES = ("result.json", "parameters.json", "certificate.pdf", "audit.json")
_UNPROVEN = {"README.txt", "jwks.json", "log.vkey", "roots.pem"}
_BYTES_MAX = 40 * 2**20
_READABLE, _UNIX = 0o644 << 16, 3
"""Rights and system of each file, as ZIP writes them."""


def verify_bundle(archive: bytes, trust: Trust) -> Report:
    """Check a bundle, as `GET /v1/jobs/{id}/evidence` gives it; UnreadableError where it is no archive."""
    infos, files = _unpack(archive)
    checks = [_frame(archive, infos, files)]
    checks += [Check(name, ok=False, detail="is not in the bundle") for name in _FILES if name not in files]
    checks += [
        Check(name, ok=False, detail="does not belong into a bundle") for name in files.keys() - {*_FILES, *_UNPROVEN}
    ]
    notes: list[str] = []
    for name, verify in (
        ("result.json", verify_answer),
        ("certificate.pdf", verify_certificate),
        ("audit.json", verify_audit),
    ):
        if name in files:
            report = _attempt(verify, files[name], trust)
            checks += [Check(f"{name} {check.name}", ok=check.ok, detail=check.detail) for check in report.checks]
            notes += [f"{name}: {note}" for note in report.notes]
    checks += _together(files)
    notes.append("the keys in the bundle prove nothing: it was checked against those that you gave")
    return Report(tuple(checks), tuple(notes))


def _unpack(archive: bytes) -> tuple[list[zipfile.ZipInfo], dict[str, bytes]]:
    """What the directory says of each file, and what is in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            infos = opened.infolist()
            if sum(info.file_size for info in infos) > _BYTES_MAX or len({info.filename for info in infos}) < len(
                infos
            ):
                message = "the bundle has a file twice, or more than any bundle holds"
                raise UnreadableError(message)
            return infos, {info.filename: opened.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        if isinstance(error, UnreadableError):
            raise
        message = f"the bundle: {error}"
        raise UnreadableError(message) from None


def _frame(archive: bytes, infos: Sequence[zipfile.ZipInfo], files: dict[str, bytes]) -> Check:
    """What holds the files together: no proof covers it, so it has to be as this cloud packs them, to the byte."""
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        detail = (
            "is compressed, and this cloud packs a bundle without: it is of before, or was packed anew; get a new one"
        )
        return Check("file", ok=False, detail=detail)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as again:
        for info in infos:
            plain = zipfile.ZipInfo(info.filename, infos[0].date_time)
            plain.external_attr, plain.create_system = _READABLE, _UNIX
            again.writestr(plain, files[info.filename])
    expected = packed.getvalue()
    if expected == archive:
        return Check("file", ok=True, detail=f"all {len(archive)} bytes are as this cloud packs these files")
    differing = (place for place, (ours, theirs) in enumerate(zip(expected, archive, strict=False)) if ours != theirs)
    place = next(differing, min(len(expected), len(archive)))
    inside = next((info.filename for info in reversed(infos) if info.header_offset <= place), "the beginning")
    return Check("file", ok=False, detail=f"byte {place}, at or after {inside}, is not as this cloud packs these files")


def _attempt(verify: Any, content: bytes, trust: Trust) -> Report:  # noqa: ANN401 - one of three of one shape
    try:
        report: Report = verify(content, trust)
    except UnreadableError as error:
        return Report((Check("file", ok=False, detail=str(error)),))
    return report


def _together(files: dict[str, bytes]) -> Iterator[Check]:
    """The files have to be about one record."""
    record = _members(files.get("result.json", b"{}"))
    if "parameters.json" in files:
        digest = f"sha256:{hashlib.sha256(files['parameters.json']).hexdigest()}"
        ok = digest == record.get("parameters_hash")
        yield Check("parameters.json", ok=ok, detail=f"are {'' if ok else 'not '}those of the record")
    if "certificate.pdf" in files:
        attached = _members(attachments_of(files["certificate.pdf"]).get("result.json", b"{}"))
        ok = "audit_hash" in record and attached.get("audit_hash") == record["audit_hash"]
        yield Check("certificate.pdf result", ok=ok, detail=f"is {'' if ok else 'not '}about the record beside it")
    if "audit.json" in files:
        entries = _members(files["audit.json"]).get("entries")
        about = {_job_of(entry) for entry in entries} if isinstance(entries, list) else set()
        ok = about == {record.get("job_id")}
        yield Check("audit.json job", ok=ok, detail=f"is {'' if ok else 'not '}about the job of the record alone")


def _job_of(outer: object) -> object:
    entry = outer.get("entry") if isinstance(outer, dict) else None
    if not isinstance(entry, dict):
        return None
    details = entry.get("details")
    named = details.get("job_id") if isinstance(details, dict) else None
    return named or entry.get("object_id")


def _members(content: bytes) -> dict[str, Any]:
    try:
        return dict(parse_object(content, "a file"))
    except (UnreadableError, UnkeptNumberError):
        return {}
