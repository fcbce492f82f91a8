"""Who may see a completed job without a key: whoever holds its view token, as a certificate's QR code carries it.

    token = base64url(HMAC-SHA-256(key = the record's ML-DSA-65 signature, "qmumma.view/v1 " + job id)[:16])

The signature is hedged with 256 random bits, and only its hash is in the public log. So nobody guesses a token, and no
secret has to be kept for it: those who have the signed result could show it to others anyway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from services.execution.job import Job, State

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2 import Seal

    from services.execution.job import JobId

_TOKEN_BYTES = 16


def view_token(job_id: JobId, seal: Seal) -> str:
    """The token of a sealed job, 22 characters."""
    digest = hmac.digest(seal.signature, f"qmumma.view/v1 {job_id}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:_TOKEN_BYTES]).rstrip(b"=").decode("ascii")


def may_view(job: Job, token: str) -> bool:
    """Whether the token opens the job."""
    if job.state is not State.COMPLETED or job.seal is None:
        return False
    return hmac.compare_digest(view_token(job.job_id, job.seal).encode(), token.encode())
