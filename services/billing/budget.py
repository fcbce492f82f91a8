"""Budgets: the most that a team may be charged in a calendar month (UTC), a hard stop.

What counts is what was charged in the month and what is held now. So a hold that is charged only in the next month
counts to that one, and no month's charges ever pass the budget that was there when they were held. A budget below what
is spent or held refuses what is new and touches nothing that is held.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from mesh.errors import PaymentRequired
from services.billing.charge import dollars
from services.billing.period import Period, PeriodName, end_of, name_of, rfc3339


@dataclass(frozen=True, slots=True)
class Spending:
    """A team's money in a month; amounts in micro-dollars."""

    month: PeriodName
    end_time: dt.datetime
    spent: int
    """Charged in the month."""
    held: int
    """Set aside for what is open now, whenever that began."""
    budget: int | None
    """None for no bound."""

    @classmethod
    def at(cls, now: dt.datetime, *, spent: int, held: int, budget: int | None) -> Spending:
        """The money in the month of `now`."""
        return cls(name_of(Period.MONTH, now), end_of(Period.MONTH, now), spent, held, budget)

    def require(self, amount: int) -> None:
        """Raise PaymentRequired (BUDGET_EXCEEDED) unless the budget has room for another amount."""
        if self.budget is None or amount == 0 or self.spent + self.held + amount <= self.budget:
            return
        left = max(0, self.budget - self.spent - self.held)
        reset = rfc3339(self.end_time)
        message = (
            f"This costs {dollars(amount)} and the team's budget of {dollars(self.budget)} for {self.month} has "
            f"{dollars(left)} left: {dollars(self.spent)} are spent and {dollars(self.held)} held. An owner or admin "
            f"of the team can raise it; the next month begins at {reset}."
        )
        metadata = {"cost_micros": str(amount), "left_micros": str(left), "reset_time": reset}
        raise PaymentRequired(message, reason="BUDGET_EXCEEDED", metadata=metadata)
