"""How a delivery proves that it is ours: HMAC-SHA256 of its body under the team's secret, in two forms.

`X-QMUMMA-Signature` is of the raw body alone, by the newest secret, keyed with the whole secret as it is shown.
`webhook-signature` is that of Standard Webhooks, of id, time and body: it can hold several signatures, so that after a
rotation the secret before signs beside the new one.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from functools import lru_cache

from standardwebhooks.webhooks import Webhook

PREFIX = "whsec_"
_KEY_BYTES = 32
MOST_SECRETS = 4
"""That sign one delivery: the newest, and those before it whose grace is not over."""


def make_secret() -> str:
    """A new secret: the prefix and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(random.token_bytes(_KEY_BYTES)).decode("ascii")


@lru_cache(4096)
def _webhook(secret: str) -> Webhook:
    return Webhook(secret)


def signed_headers(
    delivery_id: str, body: bytes, secrets: Sequence[str], moment: dt.datetime
) -> list[tuple[bytes, bytes]]:
    """The headers that sign one try at `moment`; `secrets` has at least one, newest first."""
    digest = hmac.digest(secrets[0].encode("ascii"), body, hashlib.sha256).hex()
    text = body.decode("utf-8")
    standard = " ".join(_webhook(secret).sign(delivery_id, moment, text) for secret in secrets)
    seconds = str(int(moment.timestamp())).encode("ascii")
    return [
        (b"X-QMUMMA-Signature", b"sha256=" + digest.encode("ascii")),
        (b"X-QMUMMA-Delivery", delivery_id.encode("ascii")),
        (b"X-QMUMMA-Timestamp", seconds),
        (b"webhook-id", delivery_id.encode("ascii")),
        (b"webhook-timestamp", seconds),
        (b"webhook-signature", standard.encode("ascii")),
    ]
