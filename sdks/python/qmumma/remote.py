"""Fetching from a server: the public keys, for when no trusted copy is at hand, and the log."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from http import HTTPStatus

from qmumma.exact import UnreadableError

JWKS_PATH = "/.well-known/jwks.json"
LOG_KEYS_PATH = "/v1/log/keys"
ROOTS_PATH = "/v1/certificates/roots"

_TIMEOUT_SECONDS = 10
_BYTES_MAX = 1 << 20


class NotThereError(UnreadableError):
    """The server answers, and has nothing at that path."""


def fetch(base_url: str, path: str, bytes_max: int = _BYTES_MAX) -> bytes:
    """Return the body of `GET base_url + path`.

    Raises NotThereError for 404, UnreadableError when there is no answer to be had for another reason.
    """
    url = base_url.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        message = f"{base_url}: must begin with http:// or https://"
        raise UnreadableError(message)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - the scheme is checked
            body: bytes = response.read(bytes_max + 1)
    except urllib.error.HTTPError as error:
        with error:
            kind = NotThereError if error.code == HTTPStatus.NOT_FOUND else UnreadableError
            message = f"{url}: {error}"
        raise kind(message) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = f"{url}: {error}"
        raise UnreadableError(message) from None
    if len(body) > bytes_max:
        message = f"{url}: more than {bytes_max} bytes"
        raise UnreadableError(message)
    return body
