"""The double-entry ledger: transfers between accounts whose entries sum to zero.

    team/<id>/available   what the team may spend; negative, since teams pay afterwards
    team/<id>/held        what is set aside for its open jobs; never negative
    platform/revenue      what delivered jobs were charged

A job moves money at most twice: available → held, then held → revenue or held → available. The id of a transfer says
what it is for (`<job id>/hold`), so the same transfer cannot be written twice. Amounts are micro-dollars.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from services.billing.hold import Hold, JobId, TeamId

REVENUE = "platform/revenue"


class Movement(StrEnum):
    """The last part of a transfer's id."""

    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: what an account gained, negative where it lost."""

    transfer_id: str
    account: str
    amount: int
    create_time: dt.datetime


def available(team_id: TeamId) -> str:
    """The account of what a team may spend."""
    return f"team/{team_id}/available"


def held(team_id: TeamId) -> str:
    """The account of what is set aside for a team's open jobs."""
    return f"team/{team_id}/held"


def transfer_id(job_id: JobId, movement: Movement) -> str:
    """The id of a job's transfer of that kind."""
    return f"{job_id}/{movement}"


def transfer(hold: Hold, movement: Movement, time: dt.datetime) -> tuple[Entry, ...]:
    """The entries of one movement of a hold's money; none where the hold is of nothing."""
    if hold.amount == 0:
        return ()
    source, target = {
        Movement.HOLD: (available(hold.team_id), held(hold.team_id)),
        Movement.SETTLE: (held(hold.team_id), REVENUE),
        Movement.RELEASE: (held(hold.team_id), available(hold.team_id)),
    }[movement]
    name = transfer_id(hold.job_id, movement)
    return Entry(name, source, -hold.amount, time), Entry(name, target, hold.amount, time)


def gains(entries: Iterable[Entry]) -> dict[str, int]:
    """What each account gained over the entries."""
    total: Counter[str] = Counter()
    for entry in entries:
        total[entry.account] += entry.amount
    return dict(total)
