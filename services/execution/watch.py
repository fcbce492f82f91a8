"""Telling those who wait for a job that it changed. An event only wakes them; what they read is the database."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from qm.execution.v1 import events_pb2

from mesh.errors import MeshError
from mesh.events import Message
from mesh.telemetry import log
from services.execution.job import Job, JobId
from services.execution.store import Store

POLL_SECONDS = 2.0
"""How long a change can stay unseen while NATS is down."""
MOST_EXPECTED = 1000
"""Jobs that are known as they were accepted."""
SMALL_BYTES = 16 * 1024
"""The parameters of such a job; those of a larger one are read again where somebody asks."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """One of those who wait for a job."""

    version: int = 0
    """What it has seen."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: Job | None = None
    """The job as it has ended, where that was told here."""


class Watchers:
    """Everybody who waits for a job, in this process."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._waiting: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._accepted: OrderedDict[str, Job] = OrderedDict()

    def expect(self, job: Job) -> None:
        """Know a job that was accepted in this process just now, until something is told of it; its team will ask."""
        if len(job.parameters) <= SMALL_BYTES:
            self._accepted[str(job.job_id)] = job
            if len(self._accepted) > MOST_EXPECTED:
                self._accepted.popitem(last=False)

    async def hear(self, _subject: str, payload: bytes) -> None:
        """Take an event off the queue and wake those whom it concerns."""
        try:
            event = events_pb2.JobEvent.FromString(payload)
        except DecodeError:
            return
        self._wake(event.job_id)

    def overhear(self, message: Message, about: object) -> None:
        """Wake them for what a neighbour in this process has committed, before the queue tells of it."""
        ended = about if isinstance(about, Job) else None
        self._wake(events_pb2.JobEvent.FromString(message.payload).job_id, ended)

    def _wake(self, job_id: str, ended: Job | None = None) -> None:
        self._accepted.pop(job_id, None)
        for waiter in self._waiting.get(job_id, ()):
            waiter.ended = ended
            waiter.changed.set()

    async def look(self, store: Store) -> None:
        """Wake those whose job changed without an event that came, until cancelled: one statement for all of them."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not self._waiting:
                continue
            try:
                versions = await store.versions([JobId(uuid.UUID(key)) for key in self._waiting])
            except MeshError as error:
                log.warning("look_postponed", reason=error.reason)
                continue
            for job_id, version in versions.items():
                if any(waiter.version < version for waiter in self._waiting.get(str(job_id), ())):
                    self._wake(str(job_id))

    def _known(self, job_id: JobId, team_id: str) -> Job | None:
        job = self._accepted.get(str(job_id))
        return job if job is not None and job.requester.team_id == team_id else None

    @contextmanager
    def _listening(self, job_id: JobId) -> Iterator[_Waiter]:
        key, waiter = str(job_id), _Waiter()
        self._waiting[key].add(waiter)
        try:
            yield waiter
        finally:
            self._waiting[key].discard(waiter)
            if not self._waiting[key]:
                del self._waiting[key]

    async def another(
        self, store: Store, job_id: JobId, team_id: str, known_version: int, seconds: float
    ) -> Job | None:
        """The job once it has ended or has another version than is known (0: than it has), or as it is after `seconds`.

        None where there is none.
        """
        job = None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), aclosing(self.follow(store, job_id, team_id, 0)) as states:
                async for job in states:
                    known_version = known_version or job.version
                    if job.version != known_version:
                        break
        return job

    async def follow(self, store: Store, job_id: JobId, team_id: str, after_version: int) -> AsyncGenerator[Job, None]:
        """The job whenever its version grew past `after_version`, until it has ended; nothing where there is none."""
        with self._listening(job_id) as waiter:
            while (job := waiter.ended or self._known(job_id, team_id) or await store.get(job_id, team_id)) is not None:
                waiter.version = job.version
                if job.version > after_version:
                    after_version = job.version
                    yield job
                if job.state.ended:
                    return
                await waiter.changed.wait()
                waiter.changed.clear()
