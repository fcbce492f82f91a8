"""A circuit of ours as a provider's job: where it stands, and what is known of it. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import IntEnum

from services.execution.job import JobId
from services.execution.live.provider import ProviderJobId
from services.execution.live.target import Compiled, Reading


class Stand(IntEnum):
    """Where a circuit stands between us and its provider; the numbers are those of the table."""

    PLANNED = 1
    """Nothing has been sent."""
    SUBMITTING = 2
    """Something may have been sent. Whoever finds a circuit so has to look for its tag before sending it."""
    SUBMITTED = 3
    """The provider has it, under an id that is known."""
    DONE = 4
    """Its counts are here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderJob:
    """One circuit of a job."""

    job_id: JobId
    index: int
    stand: Stand
    circuit: Compiled = field(repr=False)
    create_time: dt.datetime
    """Before anything was sent."""
    submit_time: dt.datetime | None
    """When it was sent last, or would have been."""
    contact_time: dt.datetime
    """When the provider last answered to it."""
    provider_job_id: ProviderJobId | None
    reading: Reading | None = field(repr=False)
    cost_micros: int | None
    """What the provider says that it charges, in micro-dollars."""

    @property
    def tag(self) -> str:
        """Our name for it at the provider; a circuit of a job is sent under one tag alone, whoever sends it."""
        return f"qm-{self.job_id.hex}-{self.index}"
