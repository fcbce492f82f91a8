"""Requests to the REST API on the standard library alone: repeated where that is safe, refused in its own words."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from qmumma.exact import UnreadableError
from qmumma.remote import OPENER

_BYTES_MAX = 80 << 20
_LONGEST_PAUSE_SECONDS = 30.0
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class NoAnswerError(UnreadableError):
    """The server cannot be reached, or what answered is no Q-MUMMA."""


class ApiError(Exception):
    """The API refused a request; `type` is the stable word to branch on."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        """Take the status and the member `error` of the body."""
        self.status = status
        self.type = str(error.get("type", "server_error"))
        self.message = str(error.get("message", "no reason was given"))
        self.param = str(error.get("param", ""))
        self.request_id = str(error.get("request_id", ""))
        super().__init__(f"{status} {self.type}: {self.message}")


@dataclass(frozen=True)
class Answer:
    """What came back; `value` is None where the body is empty."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    value: Any


class Exchange:
    """One server, one API key."""

    def __init__(
        self, base_url: str, api_key: str, *, timeout: float, tries: int, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Wait `timeout` seconds for an answer, `tries` times at most where a repeat does nothing twice."""
        if not base_url.startswith(("http://", "https://")):
            message = f"{base_url}: must begin with http:// or https://"
            raise UnreadableError(message)
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._key = api_key
        self._timeout = timeout
        self._tries = tries
        self._pause = pause

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer; raises ApiError, NoAnswerError. Every POST that creates must carry an `Idempotency-Key`."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self._base_url}{path}" + (f"?{urlencode(given)}" if given else "")
        sent = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        for left in reversed(range(self._tries)):
            try:
                return self._once(urllib.request.Request(url, data, sent, method=method))  # noqa: S310 - http alone
            except _ComeAgain as again:
                if not left:
                    raise again.error from None
                self._pause(min(again.seconds, _LONGEST_PAUSE_SECONDS))
        raise AssertionError  # the loop returns or raises

    def _once(self, request: urllib.request.Request) -> Answer:
        try:
            with OPENER.open(request, timeout=self._timeout) as response:
                return Answer(response.status, _lower(response.headers), _value(request, response.read(_BYTES_MAX)))
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code == HTTPStatus.NOT_MODIFIED:
                    return Answer(refused.code, _lower(refused.headers), None)
                body = refused.read(_BYTES_MAX)
            error = _refusal(request, refused.code, body)
            if refused.code in _AGAIN:
                raise _ComeAgain(error, float(refused.headers.get("Retry-After") or 1)) from None
            raise error from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            message = f"{request.full_url}: {reason}. Is the server up, and is its address right (--url, QMUMMA_URL)?"
            raise _ComeAgain(NoAnswerError(message), 1.0) from None


class _ComeAgain(Exception):
    """The same request may be answered later."""

    def __init__(self, error: Exception, seconds: float) -> None:
        super().__init__()
        self.error = error
        self.seconds = seconds


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _value(request: urllib.request.Request, body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        message = f"{request.full_url}: what answers is no Q-MUMMA API"
        raise NoAnswerError(message) from None


def _refusal(request: urllib.request.Request, status: int, body: bytes) -> Exception:
    try:
        return ApiError(status, json.loads(body)["error"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return NoAnswerError(f"{request.full_url}: {status}, and what answers is no Q-MUMMA API")
