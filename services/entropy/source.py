"""Sources: backends as they are drawn from, and how they stand. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum

from mesh.errors import Unavailable

BACKOFF_DOUBLINGS = 6


class State(IntEnum):
    """How a source stands; the numbers are those of the proto and of the database."""

    IDLE = 1
    STARTING = 2
    HEALTHY = 3
    QUARANTINED = 4


@dataclass(frozen=True, slots=True, order=True)
class SourceKey:
    """A backend, as the machine itself or as what simulates it."""

    source_id: str
    live: bool = False

    def __str__(self) -> str:
        """The source's name, for logs."""
        return f"{self.source_id} (live)" if self.live else self.source_id


@dataclass(frozen=True, slots=True)
class Source:
    """What is kept of a source."""

    key: SourceKey
    state: State
    simulated: bool
    reason: str = ""
    failure_count: int = 0
    """Failures in a row."""
    retry_time: dt.datetime | None = None
    """When a quarantined one may make its start-up test."""
    assessed_min_entropy: float = 0.0
    chunk_time: dt.datetime | None = None

    def may_start(self, now: dt.datetime) -> bool:
        """Whether it may be drawn from: it is well, or its time to show that has come."""
        return self.state is not State.QUARANTINED or self.retry_time is None or now >= self.retry_time


def retry_delay(failures: int, first: dt.timedelta) -> dt.timedelta:
    """How long a source that failed so many times in a row stays away."""
    return first * (1 << min(failures - 1, BACKOFF_DOUBLINGS))


def quarantined(source: Source, now: dt.datetime) -> Unavailable:
    """The refusal to draw from a source that has failed; it says when the source is tested again."""
    message = f"The source {source.key.source_id} has failed a test and gives nothing until it passes again."
    left = (source.retry_time - now).total_seconds() if source.retry_time else 0.0
    return Unavailable(
        f"{message} ({source.reason})",
        reason="HARDWARE_UNAVAILABLE",
        field="source",
        metadata={"retry_after_seconds": str(max(1, round(left)))},
    )
