"""The interface of a provider of machines: one connection, with one account, to one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType, Protocol

if TYPE_CHECKING:
    import datetime as dt

    from services.execution.live.target import Compiled, Target

ProviderJobId = NewType("ProviderJobId", str)

DEADLINE_SECONDS = 30.0
"""Of one call to a provider."""


class Stage(StrEnum):
    """Where a job is at its provider."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self in (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


@dataclass(frozen=True, slots=True)
class Status:
    """What a provider says of a job."""

    stage: Stage
    queue_position: int | None = None
    """How many stand before it, where the provider says so."""
    detail: str = ""
    """Why it failed, for people."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a machine gave: counts by classical bits, bit 0 rightmost, without spaces between registers."""

    counts: Mapping[str, int]
    seconds: float = 0.0
    """That the machine worked, where the provider says so."""
    cost_micros: int | None = None
    """Micro-dollars that the provider charges its account, where it says so."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a machine is, as its provider says. None is what it does not say."""

    online: bool
    """Whether it takes jobs."""
    reason: str = ""
    """Why it does not, for people."""
    queue_depth: int | None = None
    """Jobs that wait for it."""
    queue_seconds: float | None = None
    """How long a job waits now."""


class Provider(Protocol):
    """One device, through one account. Every call has a deadline and raises ProviderError; none retries by itself."""

    idempotent: bool
    """Whether a second `submit` with the same tag is the first one; then a lost answer needs no waiting."""

    async def target(self) -> Target:
        """The machine as circuits are fitted to it now."""
        ...

    async def submit(self, circuit: Compiled, tag: str) -> ProviderJobId:
        """Send a circuit, marked with our tag.

        Raises OutcomeUnknown where it may have arrived, Busy where it has not, and Refused.
        """
        ...

    async def find(self, tag: str, since: dt.datetime) -> ProviderJobId | None:
        """The job with our tag, sent at `since` or later; None where the provider has none."""
        ...

    async def poll(self, job_id: ProviderJobId) -> Status:
        """Where a job is."""
        ...

    async def cancel(self, job_id: ProviderJobId) -> None:
        """Ask to end a job; one that has ended stays as it is."""
        ...

    async def result(self, job_id: ProviderJobId, circuit: Compiled) -> Result:
        """What a job that is done gave."""
        ...

    async def condition(self) -> Condition:
        """Ask how the machine is: nothing is sent to it."""
        ...

    async def check(self) -> str:
        """Say in a few words for people what the account opens; raises NotAdmitted where it opens nothing."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
