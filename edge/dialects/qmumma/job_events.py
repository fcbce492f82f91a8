"""A job's states as server-sent events: `id` is the version, so a client that lost the connection resumes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import structlog
from qm.execution.v1.execution_pb2 import Job

from edge.bodies import Disconnected
from edge.dialects.qmumma.jobs import Jobs
from edge.dialects.qmumma.rendering import STATUS_BY_STATE, has_ended, job_body
from edge.dialects.qmumma.watching import WatchEnded, watching
from edge.errors import Refusal
from edge.exchange import NO_STORE, Answer, Request
from edge.limits import OpenStreams
from mesh.errors import MeshError

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
_VERSION = re.compile(rb"[0-9]{1,18}")
log = structlog.get_logger()


class JobEvents:
    """The stream of one job's states."""

    def __init__(self, jobs: Jobs, *, streams: OpenStreams, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        """Follow `jobs`; a comment every `heartbeat_seconds` keeps idle connections open."""
        self._jobs = jobs
        self._streams = streams
        self._heartbeat = heartbeat_seconds

    async def stream(self, request: Request[Any, Any]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}/events`.

        204 tells a client whose last event was the job's end not to come back (HTML, 9.2.3).
        """
        after = _last_event_id(request)
        job = await self._jobs.find(request)
        if has_ended(job) and job.version <= after:
            return Answer(204)
        self._streams.check(request.requester.team_id)
        headers = [NO_STORE, (b"x-accel-buffering", b"no")]
        return Answer(200, self._events(request, after), b"text/event-stream; charset=utf-8", headers)

    async def _events(self, request: Request[Any, Any], after: int) -> AsyncIterator[bytes]:
        with self._streams.hold(request.requester.team_id):
            async with watching(self._jobs.states(request, after), request) as watch:
                yield b"retry: %d\n\n" % RETRY_MILLISECONDS
                try:
                    while True:
                        job = await watch.next(self._heartbeat)
                        yield _event(job) if job is not None else b": still here\n\n"
                        if job is not None and has_ended(job):
                            return
                except (WatchEnded, Disconnected):
                    return
                except MeshError as error:
                    # The stream simply ends: the client comes back with the id of what it saw last.
                    log.warning("watch_failed", reason=error.reason)


def _event(job: Job) -> bytes:
    status = STATUS_BY_STATE[job.state].encode()
    return b"id: %d\nevent: job.%s\ndata: %s\n\n" % (job.version, status, job_body(job))


def _last_event_id(request: Request[Any, Any]) -> int:
    sent = request.headers.get(b"last-event-id", b"0")
    if not _VERSION.fullmatch(sent):
        message = "Last-Event-ID: must be the id of an event of this stream"
        raise Refusal(400, message, param="Last-Event-ID", reason="INVALID_FIELD")
    return int(sent)
