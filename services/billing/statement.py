"""Statements: what a team was charged in a month.

A team's two accounts together have what it was charged for good, with the sign turned: holding and releasing move
money between them, settling takes it away. So what is owed after a month is what was owed before it and its lines.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.billing.hold import ChargeKind, Hold, JobId
from services.billing.period import PeriodName


@dataclass(frozen=True, slots=True)
class Page:
    """Which charges of a month are wanted."""

    size: int
    """0 for none."""
    after: JobId | None = None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Jobs, or purchases of metered use, that were charged for the same reason; amounts in micro-dollars."""

    charge_kind: ChargeKind
    metered: bool
    job_count: int
    amount: int
    surcharge: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One team's month; amounts in micro-dollars."""

    owed_before: int
    owed_after: int
    lines: list[StatementLine]
    released_count: int
    charges: list[Hold]
    """A page of the holds that were charged or included, by the time of that."""
    has_more: bool


@dataclass(frozen=True, slots=True)
class Month:
    """What a month came to."""

    name: PeriodName
    charged: int
    """Micro-dollars."""
    charge_count: int

    def is_final(self, now: dt.datetime) -> bool:
        """Whether it is over."""
        return self.name < now.date().isoformat()[:7]
