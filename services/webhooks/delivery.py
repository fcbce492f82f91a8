"""A delivery: one event of a job for one URL, tried until it is taken or the schedule is over. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from services.webhooks.sealed import Sealed

DeliveryId = NewType("DeliveryId", str)
EndpointId = NewType("EndpointId", str)
TeamId = NewType("TeamId", str)

RETRIES = tuple(
    dt.timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
)
"""How long after each failed try the next one comes; after the last of them there is none."""
FAILING_FOR = dt.timedelta(days=5)
"""An endpoint where nothing was taken for so long is disabled. Where nothing was tried for so long, it starts anew."""
TIMEOUT_SECONDS = 15.0
"""How long an endpoint may take to answer, from the look-up of its name on."""
LEASE = dt.timedelta(seconds=30)
"""A delivery that was taken up and has no outcome after this is tried again: whoever had it is gone."""


class State(IntEnum):
    """Where a delivery is; the numbers are those of the table."""

    READY = 1
    """It is due."""
    SENDING = 2
    """It is under way, until its lease ends."""
    LATER = 3
    """Its next try is not due yet."""
    DELIVERED = 4
    FAILED = 5
    DISABLED = 6
    """Its endpoint is disabled."""


WAITING = (State.READY, State.SENDING, State.LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What an event of execution tells, filed as a delivery."""

    delivery_id: DeliveryId
    """The event's own id, so that the event's second coming makes no second delivery."""
    team_id: TeamId
    url: str
    job_id: str
    event: str
    body: bytes
    create_time: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A delivery that this process has taken up."""

    delivery_id: DeliveryId
    team_id: TeamId
    endpoint_id: EndpointId
    url: str
    body: bytes
    attempt_count: int
    """This try included."""
    secrets: Sequence[Sealed]
    """That sign it, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try."""

    create_time: dt.datetime
    latency: dt.timedelta
    status_code: int = 0
    """What the endpoint answered; 0 for nothing."""
    error: str = ""
    """A stable word for why there was no answer."""
    response: str = ""
    """The beginning of the answer's body, printable."""

    @property
    def taken(self) -> bool:
        """Whether the endpoint has the delivery."""
        return 200 <= self.status_code < 300  # noqa: PLR2004 - RFC 9110's class of success


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as it is told."""

    delivery_id: DeliveryId
    job_id: str
    event: str
    url: str
    state: State
    create_time: dt.datetime
    due_time: dt.datetime
    attempt_count: int
    failing_since: dt.datetime | None
    disable_time: dt.datetime | None
    attempts: Sequence[Attempt]


def after(attempt: Attempt, attempt_count: int) -> tuple[State, dt.datetime]:
    """Where a delivery is after a try, and when its next one is due."""
    end = attempt.create_time + attempt.latency
    if attempt.taken:
        return State.DELIVERED, end
    if attempt_count > len(RETRIES):
        return State.FAILED, end
    return State.LATER, end + RETRIES[attempt_count - 1]
