"""Is a certificate genuine? The file, its two seals, their roots, and the record and parameters that are attached.

The last seal is over every byte but its own container, which has one form only. So any change is found; which it is,
the first seal, the digests of the objects and the attachments' own proof tell.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from qmumma.cms import ECDSA, ML_DSA, Algorithm, Seal, SealError, read_seal
from qmumma.exact import UnkeptNumberError, UnreadableError, parse_object
from qmumma.pdf import ATTACHMENTS, Place, altered_objects, attachments_of, seals_of
from qmumma.report import Check, Report
from qmumma.roots import examine_roots
from qmumma.verification import Trust, verify_answer

CERTIFICATE_TYPE = "qmumma.certificate/v1"
_ORDER = (ECDSA, ML_DSA)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """One of the seals that a file should have."""

    algorithm: Algorithm
    place: Place
    seal: Seal | None
    fault: str = ""


def verify_certificate(pdf: bytes, trust: Trust) -> Report:
    """Check a certificate, as `GET /v1/jobs/{id}/certificate` gives it, against keys that you trust."""
    places = seals_of(pdf)
    sealed = [_read(pdf, place, algorithm) for place, algorithm in zip(places, _ORDER, strict=False)]
    attached = attachments_of(pdf)
    inner, notes = _attachments(attached, trust)
    used = {
        f"seal {each.algorithm.name}": root
        for each in sealed
        if each.seal is not None and (root := _issuer(each.seal.certificate, trust.roots)) is not None
    }
    checks = (
        *_layout(pdf, places),
        *_seals(pdf, sealed, trust.roots),
        *examine_roots(_members(attached.get("roots.json", b"{}")), used, trust),
        *inner,
    )
    return Report(checks, (*notes, *_notes(sealed)))


def _read(pdf: bytes, place: Place, algorithm: Algorithm) -> _Sealed:
    try:
        return _Sealed(algorithm, place, read_seal(place.container(pdf), algorithm))
    except (SealError, ValueError) as error:
        return _Sealed(algorithm, place, None, str(error))


def _layout(pdf: bytes, places: Sequence[Place]) -> Iterator[Check]:
    """Nothing may stand outside of what the last seal covers."""
    for algorithm in _ORDER[len(places) :]:
        yield Check(f"seal {algorithm.name}", ok=False, detail="is not there: it was removed, or never made")
    if len(places) > len(_ORDER):
        yield Check("seals", ok=False, detail=f"there are {len(places)}, and a certificate has {len(_ORDER)}")
    if places:
        end = places[-1].end
        if end == len(pdf):
            yield Check("file", ok=True, detail=f"all {len(pdf)} bytes are covered")
        else:
            detail = f"{len(pdf) - end} bytes follow the last seal: a revision was appended"
            if end > len(pdf):
                detail = f"{end - len(pdf)} bytes are missing at the end"
            yield Check("file", ok=False, detail=detail)


def _seals(pdf: bytes, sealed: Sequence[_Sealed], roots: Sequence[x509.Certificate]) -> Iterator[Check]:
    for each in sealed:
        name = f"seal {each.algorithm.name}"
        if each.seal is None:
            yield Check(name, ok=False, detail=each.fault)
            continue
        if not each.seal.digests(each.place.covered(pdf)):
            where = "; ".join(altered_objects(pdf)[:5]) or "the frame of the file, or another seal"
            yield Check(name, ok=False, detail=f"is not over these bytes; altered: {where}")
        elif not each.seal.signed():
            yield Check(name, ok=False, detail="was not made by the key of its certificate")
        else:
            yield Check(name, ok=True, detail=f"holds over {each.place.end} bytes, by {_name(each.seal.certificate)}")
        yield _chain(each.seal.certificate, roots, f"{name} certificate")


def _chain(certificate: x509.Certificate, roots: Sequence[x509.Certificate], name: str) -> Check:
    """The certificate has to come from a root that is trusted, and be one for seals."""
    if not roots:
        return Check(name, ok=False, detail="no roots were given: --roots, from GET /v1/certificates/roots")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return Check(name, ok=False, detail="says nothing of what it is for")
    if limits.ca or not usage.digital_signature:
        return Check(name, ok=False, detail="is not for seals")
    root = _issuer(certificate, roots)
    if root is None:
        return Check(name, ok=False, detail=f"was issued by none of the {len(roots)} roots that are trusted")
    return Check(name, ok=True, detail=f"issued by {_name(root)}, which is trusted")


def _issuer(certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The trusted root whose key signed a certificate."""
    for root in roots:
        try:
            certificate.verify_directly_issued_by(root)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return root
    return None


def _attachments(attached: dict[str, bytes], trust: Trust) -> tuple[list[Check], tuple[str, ...]]:
    """The checks of what is attached, and what was not checked of the record."""
    sheet, record = (_members(attached.get(name, b"{}")) for name in ("certificate.json", "result.json"))
    checks = [Check(name, ok=False, detail=_absent(name, sheet)) for name in ATTACHMENTS if name not in attached]
    notes: tuple[str, ...] = ()
    if "result.json" in attached:
        try:
            report = verify_answer(attached["result.json"], trust)
        except UnreadableError as error:
            report = Report((Check("file", ok=False, detail=str(error)),))
        checks += [Check(f"result.json {check.name}", ok=check.ok, detail=check.detail) for check in report.checks]
        notes = tuple(f"result.json: {note}" for note in report.notes)
    if "parameters.json" in attached:
        digest = f"sha256:{hashlib.sha256(attached['parameters.json']).hexdigest()}"
        ok = digest == record.get("parameters_hash")
        checks.append(Check("parameters.json", ok=ok, detail=f"are {'' if ok else 'not '}those of the record"))
    if "certificate.json" in attached:
        checks += _sheet(sheet, record)
    return checks, notes


def _absent(name: str, sheet: dict[str, Any]) -> str:
    """Why an attachment is not there: the first template did not have the roots yet."""
    if name == "roots.json" and str(sheet.get("template", "")).endswith("/1"):
        return (
            "was not attached by template 1, of before the roots were in the log: ask the service for a new "
            "edition, ?edition=new"
        )
    return "is not attached, or cannot be unpacked"


def _sheet(sheet: dict[str, Any], record: dict[str, Any]) -> Iterator[Check]:
    """What the pages say, against the record."""
    execution = record.get("execution")
    expected = {
        "type": CERTIFICATE_TYPE,
        "job_id": record.get("job_id"),
        "number": certificate_number(str(record.get("job_id")), str(record.get("audit_hash"))),
        "simulated": execution.get("simulated") if isinstance(execution, dict) else None,
    }
    wrong = [name for name, value in expected.items() if sheet.get(name) != value]
    if wrong:
        yield Check("certificate.json", ok=False, detail=f"{', '.join(wrong)}: not as the record has it")
    else:
        yield Check("certificate.json", ok=True, detail=f"{expected['number']}: is about the record that is attached")


def certificate_number(job_id: str, audit_hash: str) -> str:
    """The number that the certificate of a job has: 80 bits of SHA-256 in base32."""
    digest = hashlib.sha256(f"{CERTIFICATE_TYPE}\n{job_id}\n{audit_hash}".encode()).digest()
    text = base64.b32encode(digest[:10]).decode("ascii")
    return "QMC-" + "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _notes(sealed: Sequence[_Sealed]) -> tuple[str, ...]:
    now = dt.datetime.now(dt.UTC)
    return tuple(
        f"the seal {each.algorithm.name} had its certificate until {each.seal.certificate.not_valid_after_utc:%Y-%m-%d}"
        for each in sealed
        if each.seal is not None and each.seal.certificate.not_valid_after_utc < now
    )


def _members(data: bytes) -> dict[str, Any]:
    try:
        return dict(parse_object(data, "an attachment"))
    except (UnreadableError, UnkeptNumberError):
        return {}


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:120]
