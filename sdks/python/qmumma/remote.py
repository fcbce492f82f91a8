"""Fetching from a server: public keys, for when no trusted copy is at hand, the log, and what an API key may read."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from http import HTTPStatus

from qmumma.exact import UnreadableError

JWKS_PATH = "/.well-known/jwks.json"
LOG_KEYS_PATH = "/v1/log/keys"
ROOTS_PATH = "/v1/certificates/roots"

_TIMEOUT_SECONDS = 10
_BYTES_MAX = 1 << 20


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: an API key is for the server that was named."""

    def redirect_request(self, *_arguments: object) -> None:
        """Make no second request, so that the redirect is an error."""


OPENER = urllib.request.build_opener(_Stay)


class NotThereError(UnreadableError):
    """The server answers, and has nothing at that path."""


def fetch(base_url: str, path: str, bytes_max: int = _BYTES_MAX, *, api_key: str | None = None) -> bytes:
    """Return the body of `GET base_url + path`.

    Raises NotThereError for 404, UnreadableError when there is no answer to be had for another reason.
    """
    url = base_url.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        message = f"{base_url}: must begin with http:// or https://"
        raise UnreadableError(message)
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
        with OPENER.open(request, timeout=_TIMEOUT_SECONDS) as response:
            body: bytes = response.read(bytes_max + 1)
    except urllib.error.HTTPError as error:
        with error:
            kind = NotThereError if error.code == HTTPStatus.NOT_FOUND else UnreadableError
            message = f"{url}: {_told(error)}"
        raise kind(message) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = f"{url}: {error}"
        raise UnreadableError(message) from None
    if len(body) > bytes_max:
        message = f"{url}: more than {bytes_max} bytes"
        raise UnreadableError(message)
    return body


def _told(error: urllib.error.HTTPError) -> str:
    """What a server says of its refusal, where that can be read."""
    try:
        return f"{error.code}: {json.loads(error.read(_BYTES_MAX))['error']['message']}"
    except (OSError, ValueError, TypeError, KeyError):
        return str(error)
