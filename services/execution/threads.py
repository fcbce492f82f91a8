"""How many threads a run is worth: more for large circuits, none beyond what they gain."""

from __future__ import annotations

from services.execution.job import Job, predicted_seconds

SCALING_ENGINES = frozenset({"qsim"})
"""Engines whose states come out the same to the last bit on any number of threads, so that a seed repeats its counts.

Aer's sums depend on them, and the others have one thread or run circuits that are too small.
"""
THREAD_SECONDS = 0.5
"""What each thread should have to do at least: below, starting and joining them costs more than they bring."""
MOST_THREADS = 8
"""Past that memory is what a state vector waits for."""


def wanted_threads(job: Job) -> int:
    """The threads that would shorten a job's run, on cores that nobody else needs: a power of two."""
    if job.backend.engine not in SCALING_ENGINES:
        return 1
    worth = min(MOST_THREADS, predicted_seconds(job.decision) / THREAD_SECONDS)
    return 1 << max(0, int(worth).bit_length() - 1)
