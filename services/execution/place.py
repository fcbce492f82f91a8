"""A worker's place for a job that is accepted in the worker's own process: one commit accepts it and begins it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mesh.bulletin import Bulletin
from mesh.streams import work_subject
from services.execution.job import Job, NewJob


@dataclass(frozen=True, slots=True)
class Place:
    """Kept until one of the two is called."""

    worker: str
    """Who will have the job."""
    begin: Callable[[Job], None]
    """Run the job, which is committed as the worker's."""
    leave: Callable[[], None]
    """Give the place back."""


def place_for(job: NewJob, bulletin: Bulletin) -> Place | None:
    """A place for a job that may begin now; None where no worker of this process has one, or others come first."""
    if job.release_time is not None:
        return None
    place = bulletin.place(work_subject(job.decision.backend.pool, job.queue.word))
    return place if isinstance(place, Place) else None
