"""Telling those who wait for a job that it changed. An event only wakes them; what they read is the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from google.protobuf.message import DecodeError
from qm.execution.v1 import events_pb2

from services.execution.job import Job, JobId
from services.execution.store import Store

POLL_SECONDS = 2.0
"""How long a change can stay unseen while NATS is down."""


class Watchers:
    """Everybody who waits for a job, in this process."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def hear(self, _subject: str, payload: bytes) -> None:
        """Take an event off the queue and wake those whom it concerns."""
        try:
            event = events_pb2.JobEvent.FromString(payload)
        except DecodeError:
            return
        for waiter in self._waiting.get(event.job_id, ()):
            waiter.set()

    @contextmanager
    def _listening(self, job_id: JobId) -> Iterator[asyncio.Event]:
        key, changed = str(job_id), asyncio.Event()
        self._waiting[key].add(changed)
        try:
            yield changed
        finally:
            self._waiting[key].discard(changed)
            if not self._waiting[key]:
                del self._waiting[key]

    async def follow(self, store: Store, job_id: JobId, team_id: str, after_version: int) -> AsyncIterator[Job]:
        """The job whenever its version grew past `after_version`, until it has ended; nothing where there is none."""
        with self._listening(job_id) as changed:
            while (job := await store.get(job_id, team_id)) is not None:
                if job.version > after_version:
                    after_version = job.version
                    yield job
                if job.state.ended:
                    return
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    pass
                changed.clear()
