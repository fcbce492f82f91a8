"""A job's history as server-sent events.

An event's `id` is its place in the history, so that a client that lost the connection gets the rest wherever it comes
back: nothing twice, nothing left out. Progress has no place in it, and no id.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import structlog
from qm.execution.v1.execution_pb2 import Job

from edge.bodies import Disconnected
from edge.dialects.qmumma.jobs import Jobs
from edge.dialects.qmumma.rendering import WORD_BY_STAGE, has_ended, job_body, stage_body
from edge.dialects.qmumma.watching import WatchEnded, watching
from edge.errors import Refusal
from edge.exchange import NO_STORE, Answer, Request
from edge.limits import OpenStreams
from mesh.errors import MeshError

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
_NUMBER = re.compile(rb"[0-9]{1,18}")
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
        if after > len(job.history):
            raise _no_event()
        if has_ended(job) and after == len(job.history):
            return Answer(204)
        self._streams.check(request.requester.team_id)
        headers = [NO_STORE, (b"x-accel-buffering", b"no")]
        return Answer(200, self._events(request, after), b"text/event-stream; charset=utf-8", headers)

    async def _events(self, request: Request[Any, Any], after: int) -> AsyncIterator[bytes]:
        with self._streams.hold(request.requester.team_id):
            async with watching(self._jobs.states(request, after), request) as watch:
                yield b"retry: %d\n\n" % RETRY_MILLISECONDS
                told, first = after, True
                try:
                    while True:
                        job = await watch.next(self._heartbeat)
                        if job is None:
                            yield b": still here\n\n"
                            continue
                        fresh = range(told + 1, len(job.history) + 1)
                        if fresh:
                            yield b"".join(_event(job, number) for number in fresh)
                        elif not first:
                            yield b"event: job.progress\ndata: %s\n\n" % job_body(job)
                        told, first = len(job.history), False
                        if has_ended(job):
                            return
                except (WatchEnded, Disconnected):
                    return
                except MeshError as error:
                    # The stream simply ends: the client comes back with the id of what it saw last.
                    log.warning("watch_failed", reason=error.reason)


def _event(job: Job, number: int) -> bytes:
    word = WORD_BY_STAGE[job.history[number - 1]].encode()
    return b"id: %d\nevent: job.%s\ndata: %s\n\n" % (number, word, stage_body(job, number))


def _last_event_id(request: Request[Any, Any]) -> int:
    sent = request.headers.get(b"last-event-id", b"0")
    if not _NUMBER.fullmatch(sent):
        raise _no_event()
    return int(sent)


def _no_event() -> Refusal:
    message = "Last-Event-ID: must be the id of an event of this stream"
    return Refusal(400, message, param="Last-Event-ID", reason="INVALID_FIELD")
