"""Fetching the public keys from a server, for when no trusted copy is at hand."""

from __future__ import annotations

import http.client
import urllib.request

from qmumma.exact import UnreadableError

JWKS_PATH = "/.well-known/jwks.json"
LOG_KEYS_PATH = "/v1/log/keys"

_TIMEOUT_SECONDS = 10
_BYTES_MAX = 1 << 20


def fetch(base_url: str, path: str) -> bytes:
    """Return the body of `GET base_url + path`; UnreadableError when there is none to be had."""
    url = base_url.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        message = f"{base_url}: must begin with http:// or https://"
        raise UnreadableError(message)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - the scheme is checked
            body: bytes = response.read(_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = f"{url}: {error}"
        raise UnreadableError(message) from None
    if len(body) > _BYTES_MAX:
        message = f"{url}: more than {_BYTES_MAX} bytes"
        raise UnreadableError(message)
    return body
