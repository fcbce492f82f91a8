"""Who may see a completed job without a key: whoever holds its view token, as a certificate's QR code carries it.

    token = base64url(SHA3-256("qmumma.view/v1 " + job id + " " + the record's ML-DSA-65 signature)[:16])

The signature is hedged with 256 random bits, and only its SHA-256 is in the public log. So nobody guesses a token, and
no secret has to be kept for it: those who have the signed result could show it to others anyway. HMAC-SHA-256 with the
signature as key would not do: it hashes a key of that length with SHA-256 first, which is what the log tells.
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
    digest = hashlib.sha3_256(f"qmumma.view/v1 {job_id} ".encode() + seal.signature).digest()
    return base64.urlsafe_b64encode(digest[:_TOKEN_BYTES]).rstrip(b"=").decode("ascii")


def may_view(job: Job, token: str) -> bool:
    """Whether the token opens the job."""
    if job.state is not State.COMPLETED or job.seal is None:
        return False
    return hmac.compare_digest(view_token(job.job_id, job.seal).encode(), token.encode())
