"""A worker's place for a job that is accepted in the worker's own process: one commit accepts it and begins it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mesh.bulletin import Bulletin
from mesh.streams import work_subject
from services.execution.job import Job, NewJob


@dataclass(frozen=True, slots=True)
class Place:
    """Kept for one job, which is to begin in it at once."""

    worker: str
    """Who will have the job."""
    begin: Callable[[Job, asyncio.Future[bool]], None]
    """Run a job that is being committed as the worker's, and go on once it is; where it is not, the place is free."""


def place_for(job: NewJob, bulletin: Bulletin) -> Place | None:
    """A place for a job that may begin now; None where no worker of this process has one, or others come first."""
    if job.release_time is not None:
        return None
    place = bulletin.place(work_subject(job.decision.backend.pool, job.queue.word))
    return place if isinstance(place, Place) else None
