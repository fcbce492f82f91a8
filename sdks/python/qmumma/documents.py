"""The way into every check: a signed answer is JSON; any other document is known by its first bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qmumma import audit, bundle, pdf
from qmumma.audit import verify_audit
from qmumma.bundle import verify_bundle
from qmumma.capsule import PACKAGE_BEGINNING, refuse_package
from qmumma.certificate import verify_certificate
from qmumma.report import Report
from qmumma.verification import Trust, verify_answer

DOCUMENTS: Mapping[bytes, Callable[[bytes, Trust], Report]] = {
    pdf.BEGINNING: verify_certificate,
    bundle.BEGINNING: verify_bundle,
    audit.BEGINNING: verify_audit,
}
"""How each document that is no signed answer is checked, by how it begins."""


def verify(
    document: bytes,
    jwks: bytes,
    log_keys: str,
    download: bytes | None = None,
    *,
    witness_keys: str | None = None,
    roots: bytes | None = None,
) -> Report:
    """Check what a Q-MUMMA cloud signed, as it was answered with its proof, against keys that you trust.

    `jwks` is the JSON Web Key Set of the signing service, `log_keys` the log's vkeys, one a line; every one of them
    must have signed the checkpoint. `download` is what `GET /v1/jobs/{id}/result` gave, where the result is too large
    to be in the answer. `witness_keys` demands that each of these witnesses, vkeys one a line, has signed as well.
    `roots` are those of a certificate's digital seals, PEM.
    Raises UnreadableError when one of them is not what it should be at all.
    """
    return verify_trusting(document, Trust.read(jwks, log_keys, witness_keys, roots), download)


def verify_trusting(document: bytes, trust: Trust, download: bytes | None = None) -> Report:
    """Check a document of any kind against keys that were read already."""
    if document.startswith(PACKAGE_BEGINNING):
        raise refuse_package()
    for beginning, examine in DOCUMENTS.items():
        if document.startswith(beginning):
            return examine(document, trust)
    return verify_answer(document, trust, download)
