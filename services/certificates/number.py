"""The number of a certificate: made of the job alone, so that every edition of its certificate has the same. Pure."""

from __future__ import annotations

import base64
import hashlib

_CONTEXT = b"qmumma.certificate/v1\n"
_BYTES = 10


def certificate_number(public_job_id: str, audit_hash: str) -> str:
    """`QMC-XXXX-XXXX-XXXX-XXXX`: 80 bits of SHA-256 over the job's id and its record's hash, in base32."""
    digest = hashlib.sha256(_CONTEXT + f"{public_job_id}\n{audit_hash}".encode()).digest()
    text = base64.b32encode(digest[:_BYTES]).decode("ascii")
    return "QMC-" + "-".join(text[start : start + 4] for start in range(0, len(text), 4))
