"""The REST API from Python.

    from qmumma import QMummaClient

    client = QMummaClient("qm_live_…")
    job = client.jobs.submit(algorithm_id="vqe.molecular.v2", shots=4096, parameters={"molecule": "H2O"})
    job = client.jobs.wait(job["job_id"])

Answers are the JSON of the API as it is documented at `/docs` of the server. A submission that is not answered, or
answered by 429 or 503, is sent again under the same `Idempotency-Key`, and so makes one job.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from qmumma.exchange import Exchange

DEFAULT_URL = "http://127.0.0.1:8080"
ENDED = frozenset({"completed", "failed", "cancelled"})
_HELD_SECONDS = 20
Answered = dict[str, Any]


class QMummaClient:
    """One API key at one server; `base_url` is that of QMUMMA_URL, or of this machine, where it is left out."""

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str | None = None,
        timeout: float = 40.0,
        tries: int = 4,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait `timeout` seconds for each answer, and try up to `tries` times."""
        url = base_url or os.environ.get("QMUMMA_URL") or DEFAULT_URL
        exchange = Exchange(url, api_key, timeout=timeout, tries=tries, pause=pause)
        self.jobs = Jobs(exchange)
        self.keys = Keys(exchange)
        self.algorithms = Algorithms(exchange)


class Jobs:
    """`/v1/jobs`."""

    def __init__(self, exchange: Exchange) -> None:
        """Ask through `exchange`."""
        self._exchange = exchange

    def submit(self, *, algorithm_id: str, idempotency_key: str | None = None, **fields: object) -> Answered:
        """Submit a job; `fields` are the others of the body, those that are None left out."""
        body = {"algorithm_id": algorithm_id, **{name: value for name, value in fields.items() if value is not None}}
        return _created(self._exchange, "/v1/jobs/submit", body, idempotency_key)

    def get(self, job_id: str, *, wait: int | None = None, include: str | None = None) -> Answered:
        """Read a job, once it has changed or `wait` seconds (0 to 30) are over; `include="proof"` adds its proof."""
        value: Answered = self._exchange.send("GET", _job(job_id), query={"wait": wait, "include": include}).value
        return value

    def list(
        self,
        *,
        limit: int | None = None,
        status: str | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> Answered:
        """A page of jobs, newest first: `{"jobs": […], "has_more": …}`."""
        query = {"limit": limit, "status": status, "before": before, "after": after}
        value: Answered = self._exchange.send("GET", "/v1/jobs", query=query).value
        return value

    def cancel(self, job_id: str) -> Answered:
        """Cancel a job."""
        value: Answered = self._exchange.send("POST", f"{_job(job_id)}/cancel", body={}).value
        return value

    def watch(self, job_id: str) -> Iterator[Answered]:
        """The job as it is, and again whenever it has changed, until it has ended."""
        tag: str | None = None
        while True:
            known = {} if tag is None else {"If-None-Match": tag}
            answer = self._exchange.send(
                "GET", _job(job_id), query={"wait": _HELD_SECONDS if tag else 0}, headers=known
            )
            if answer.status == HTTPStatus.NOT_MODIFIED:
                continue
            tag = answer.headers.get("etag")
            yield answer.value
            if answer.value["status"] in ENDED:
                return

    def wait(self, job_id: str) -> Answered:
        """The job once it has ended, however long that takes."""
        *_, last = self.watch(job_id)
        return last


class Keys:
    """`/v1/keys`."""

    def __init__(self, exchange: Exchange) -> None:
        """Ask through `exchange`."""
        self._exchange = exchange

    def create(self, name: str, environment: str, *, expires_in_days: int | None = None) -> Answered:
        """Make a key; its `secret` is in this answer alone."""
        body: dict[str, object] = {"name": name, "environment": environment}
        if expires_in_days is not None:
            body["expires_in_days"] = expires_in_days
        return _created(self._exchange, "/v1/keys", body, None)

    def list(self, *, limit: int | None = None, before: str | None = None, after: str | None = None) -> Answered:
        """A page of keys, newest first: `{"keys": […], "has_more": …}`."""
        query = {"limit": limit, "before": before, "after": after}
        value: Answered = self._exchange.send("GET", "/v1/keys", query=query).value
        return value

    def rotate(self, key_id: str, *, grace_seconds: int) -> Answered:
        """Replace a key, which goes on for `grace_seconds`; the new `secret` is in this answer alone."""
        return _created(self._exchange, f"{_key(key_id)}/rotate", {"grace_seconds": grace_seconds}, None)

    def revoke(self, key_id: str) -> Answered:
        """End a key."""
        value: Answered = self._exchange.send("DELETE", _key(key_id)).value
        return value


class Algorithms:
    """`/v1/marketplace/algorithms`."""

    def __init__(self, exchange: Exchange) -> None:
        """Ask through `exchange`."""
        self._exchange = exchange

    def list(self, *, category: str | None = None, q: str | None = None) -> Answered:
        """The algorithms: `{"algorithms": […]}`."""
        query = {"category": category, "q": q}
        value: Answered = self._exchange.send("GET", "/v1/marketplace/algorithms", query=query).value
        return value

    def get(self, algorithm_id: str) -> Answered:
        """An algorithm with its schemas and an example."""
        path = f"/v1/marketplace/algorithms/{quote(algorithm_id, safe='')}"
        value: Answered = self._exchange.send("GET", path).value
        return value


def _created(exchange: Exchange, path: str, body: Mapping[str, object], key: str | None) -> Answered:
    headers = {"Idempotency-Key": key or f"sdk-{uuid.uuid4().hex}"}
    value: Answered = exchange.send("POST", path, body=body, headers=headers).value
    return value


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _key(key_id: str) -> str:
    return f"/v1/keys/{quote(key_id, safe='')}"
