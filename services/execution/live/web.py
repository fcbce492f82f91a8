"""Calls to a provider's REST API: one deadline, no retries, and every failure named by what it means for us."""

from __future__ import annotations

import contextlib
import email.utils
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx

from services.execution.live.errors import Busy, NotAdmitted, OutcomeUnknown, ProviderError, Refused
from services.execution.live.provider import DEADLINE_SECONDS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

LONGEST_DETAIL = 300
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Web:
    """One provider's API over HTTPS."""

    def __init__(self, provider: str, clock: Callable[[], dt.datetime], seconds: float = DEADLINE_SECONDS) -> None:
        """Name the `provider` in errors; `clock` tells the time in UTC, `seconds` bounds a call."""
        self._provider = provider
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(seconds), follow_redirects=False)

    async def get(self, url: str, **options: Any) -> Any:
        """The JSON of an answer to a GET."""
        return await self.call("GET", url, **options)

    async def call(self, method: str, url: str, *, safe: bool = True, none_for: int = 0, **options: Any) -> Any:
        """The JSON of an answer, None for an empty one and for the status `none_for`; `options` are httpx's.

        A call that is not `safe` to repeat raises OutcomeUnknown where it may have taken effect; any other raises Busy.
        """
        try:
            response = await self._client.request(method, url, **options)
        except _NEVER_SENT as error:
            raise Busy(f"{self._provider} cannot be reached ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise self._lost(f"{self._provider} did not answer ({type(error).__name__})", safe=safe) from None
        if response.status_code == none_for:
            return None
        self._check(response, safe=safe)
        if not response.content:
            return None
        try:
            return json.loads(response.content)
        except ValueError:
            raise self._lost(f"{self._provider} answered no JSON", safe=safe) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _check(self, response: httpx.Response, *, safe: bool) -> None:
        status = response.status_code
        if response.is_success:
            return
        said = f"{self._provider} answered {status}{_detail(response)}"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Busy(said, self._retry_after(response))
        if response.is_server_error:
            raise self._lost(said, safe=safe, after=self._retry_after(response))
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise NotAdmitted(f"{said}: the credentials are not accepted, or do not allow this")
        raise Refused(said)

    def _lost(self, message: str, *, safe: bool, after: float = 0.0) -> ProviderError:
        return Busy(message, after) if safe else OutcomeUnknown(message)

    def _retry_after(self, response: httpx.Response) -> float:
        """Seconds that Retry-After asks for, as a number or as a date (RFC 9110, section 10.2.3)."""
        value = response.headers.get("retry-after", "")
        if value.isdecimal():
            return float(value)
        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, (email.utils.parsedate_to_datetime(value) - self._clock()).total_seconds())
        return 0.0


def _detail(response: httpx.Response) -> str:
    """What a refusal says of itself, cut short."""
    with contextlib.suppress(ValueError):
        body = json.loads(response.content)
        if isinstance(body, Mapping):
            error = body.get("error", body)
            if isinstance(error, Mapping):
                error = error.get("message") or error.get("error_description") or error.get("code")
            text = str(body.get("message") or body.get("error_description") or error or "")
            return f": {text[:LONGEST_DETAIL]}" if text else ""
    return ""
