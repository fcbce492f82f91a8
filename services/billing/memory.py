"""What this process knows of the ledger as it has written it last, so that most batches need not read it first.

It holds while the ledger is at that version: whoever else writes, a change of a team's terms included, makes another.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from services.billing.book import Book, TeamFunds
from services.billing.hold import Hold, HoldRequest, HoldState, JobId, Operation, TeamId
from services.billing.period import Period, PeriodName, name_of
from services.billing.plan import Plans

MOST = 10_000
"""So many open holds and so many teams are remembered."""

K = TypeVar("K")
V = TypeVar("V")


class Memory:
    """Open holds that were made here, and the funds of teams that asked for some."""

    def __init__(self) -> None:
        """Know nothing."""
        self.version = -1
        """Of the ledger, for all of this."""
        self._day: PeriodName | None = None
        """For which the funds count what is used and spent."""
        self._open: OrderedDict[JobId, Hold] = OrderedDict()
        self._teams: OrderedDict[TeamId, TeamFunds] = OrderedDict()

    def book(self, plans: Plans, operations: Sequence[Operation], now: dt.datetime) -> Book | None:
        """The book for a batch, where everything that it needs is known.

        A job without a hold here is taken to have none at all. That is no ground to refuse it one, and where it is
        given one, the table refuses a second.
        """
        self._turn_to(now)
        for each in operations:
            known = each.team_id in self._teams if isinstance(each, HoldRequest) else each.job_id in self._open
            if not known:
                return None
        holds = {each.job_id: self._open[each.job_id] for each in operations if each.job_id in self._open}
        asking = {each.team_id for each in operations if isinstance(each, HoldRequest)}
        return Book(plans, now, holds=holds, teams=self._copies(asking) | self.teams_of(holds.values()))

    def teams_of(self, holds: Iterable[Hold]) -> dict[TeamId, TeamFunds]:
        """The funds of the holds' teams that are known, for a book to change."""
        return self._copies({hold.team_id for hold in holds} & self._teams.keys())

    def see(self, version: int, now: dt.datetime) -> None:
        """Forget everything where the ledger is at another version than was written here."""
        self._turn_to(now)
        if version != self.version:
            self._open.clear()
            self._teams.clear()

    def keep(self, book: Book, version: int) -> None:
        """Remember what a book has brought the ledger to."""
        self.version = version
        _remember(self._teams, book.teams)
        _remember(self._open, {job_id: hold for job_id, hold in book.changed.items() if hold.state is HoldState.OPEN})
        for job_id, hold in book.changed.items():
            if hold.state is not HoldState.OPEN:
                self._open.pop(job_id, None)

    def _turn_to(self, now: dt.datetime) -> None:
        """With each day, and so with each month, the counts begin anew."""
        if (day := name_of(Period.DAY, now)) != self._day:
            self._day = day
            self._teams.clear()

    def _copies(self, teams: Iterable[TeamId]) -> dict[TeamId, TeamFunds]:
        return {team: replace(self._teams[team], used=self._teams[team].used.copy()) for team in teams}


def _remember(known: OrderedDict[K, V], new: dict[K, V]) -> None:
    for key, value in new.items():
        known[key] = value
        known.move_to_end(key)
    while len(known) > MOST:
        known.popitem(last=False)
