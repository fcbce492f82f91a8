"""Statements: what a team was charged in a month.

A team's two accounts together have what it was charged for good, with the sign turned: holding and releasing move
money between them, settling takes it away. So what is owed after a month is what was owed before it and its lines.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.billing.hold import ChargeKind


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Jobs that were charged for the same reason."""

    charge_kind: ChargeKind
    job_count: int
    amount: int
    """Micro-dollars."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One team's month; amounts in micro-dollars."""

    owed_before: int
    owed_after: int
    lines: list[StatementLine]
    released_count: int


def month_bounds(month: str) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of a month such as "2026-11", and that of the next; raises ValueError for the year 0."""
    start = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    return start, (start + dt.timedelta(days=31)).replace(day=1)
