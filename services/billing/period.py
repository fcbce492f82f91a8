"""Periods: the calendar months and days, in UTC, over which included jobs and charges are counted."""

from __future__ import annotations

import datetime as dt
from enum import IntEnum
from typing import NewType

PeriodName = NewType("PeriodName", str)
"""A month ("2026-11") or a day ("2026-11-21"); in order of time where they are of one kind."""


class Period(IntEnum):
    """How long one lasts; the numbers are those of the proto."""

    MONTH = 1
    DAY = 2


def name_of(period: Period, time: dt.datetime) -> PeriodName:
    """The month or the day that a time in UTC falls into."""
    return PeriodName(time.date().isoformat()[: 7 if period is Period.MONTH else 10])


def names_of(time: dt.datetime) -> tuple[PeriodName, ...]:
    """The month and the day that a time in UTC falls into."""
    return tuple(name_of(period, time) for period in Period)


def end_of(period: Period, time: dt.datetime) -> dt.datetime:
    """When the period that a time in UTC falls into is over, and the next begins."""
    day = dt.datetime.combine(time.date(), dt.time(), dt.UTC)
    return day + dt.timedelta(days=1) if period is Period.DAY else month_bounds(name_of(Period.MONTH, time))[1]


def month_bounds(month: str) -> tuple[dt.datetime, dt.datetime]:
    """The first moment of a month such as "2026-11", and that of the next.

    Raises ValueError for the year 0, and OverflowError for the last month that there is.
    """
    start = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    return start, (start + dt.timedelta(days=31)).replace(day=1)


def rfc3339(time: dt.datetime) -> str:
    """A time in UTC, for messages and programs ("2026-12-01T00:00:00Z")."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
