"""What a database would keep of the ledger, and the plainest ledger that could decide the same."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace

from mesh.config import load
from mesh.errors import MeshError
from services.billing.book import Book, TeamFunds
from services.billing.hold import (
    ChargeKind,
    Hold,
    HoldRequest,
    HoldState,
    Operation,
    ReleaseRequest,
    SettleRequest,
    TeamId,
)
from services.billing.ledger import Entry, gains, held
from services.billing.period import Period, name_of, names_of
from services.billing.plan import PLANS_FILE, Plan, Plans

PLANS = load(PLANS_FILE, Plans)
NOW = dt.datetime(2026, 11, 30, 23, 0, tzinfo=dt.UTC)


class Ledger:
    """What a database would keep, and the batches that change it."""

    def __init__(self, budgets: dict[TeamId, int | None]) -> None:
        self.budgets = budgets
        self.agreed: dict[TeamId, int | None] = {}
        self.holds: dict[str, Hold] = {}
        self.entries: list[Entry] = []
        self.used: Counter[tuple[str, str]] = Counter()
        self.spent: Counter[tuple[str, str]] = Counter()
        self.charges: Counter[tuple[str, str]] = Counter()

    def run(self, operations: list[Operation], now: dt.datetime = NOW) -> list[Hold | MeshError | None]:
        balances = gains(self.entries)
        asking = {each.team_id for each in operations if isinstance(each, HoldRequest)}
        teams = {
            team: TeamFunds(
                balances.get(held(team), 0),
                self.spent[team, name_of(Period.MONTH, now)],
                Counter({period: self.used[team, name_of(period, now)] for period in Period}),
                budget,
                self.agreed.get(team),
            )
            for team, budget in self.budgets.items()
            if team in asking
        }
        book = Book(PLANS, now, holds=dict(self.holds), teams=teams)
        answers = [book.apply(operation) for operation in operations]
        self.holds |= book.changed
        self.entries += book.entries
        for key, tally in book.tallies.items():
            self.used[key] += tally.used
            self.spent[key] += tally.spent
            self.charges[key] += tally.charges
        return answers

    def one(self, operation: Operation, now: dt.datetime = NOW) -> Hold | None:
        [answer] = self.run([operation], now)
        if isinstance(answer, MeshError):
            raise answer
        return answer


@dataclass
class PlainLedger:
    """Adds up every hold anew for each decision."""

    budgets: dict[TeamId, int | None]
    agreed: dict[TeamId, int | None] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)

    def decide(self, operation: Operation, now: dt.datetime) -> Hold | str | None:
        """The hold, or the reason of the refusal; None where there is nothing to release."""
        hold = self.holds.get(operation.job_id)
        match operation:
            case HoldRequest() if hold is None:
                return self._hold(operation, now)
            case HoldRequest():
                return hold if hold.team_id == operation.team_id else "JOB_ID_TAKEN"
            case SettleRequest():
                if hold is None:
                    return "HOLD_NOT_FOUND"
                return (
                    "HOLD_RELEASED" if hold.state is HoldState.RELEASED else self._close(hold, HoldState.SETTLED, now)
                )
            case ReleaseRequest():
                if hold is None:
                    return None
                return "HOLD_SETTLED" if hold.state is HoldState.SETTLED else self._close(hold, HoldState.RELEASED, now)

    def level(self, team: TeamId, now: dt.datetime) -> int:
        """What counts towards the team's budget."""
        month = name_of(Period.MONTH, now)
        return sum(
            hold.amount
            for hold in self.holds.values()
            if hold.team_id == team
            and (
                hold.state is HoldState.OPEN or (hold.state is HoldState.SETTLED and month in names_of(hold.close_time))
            )
        )

    def used(self, team: TeamId, period: str) -> int:
        """Included jobs of a month or a day."""
        return sum(
            hold.team_id == team
            and hold.charge_kind is ChargeKind.INCLUDED
            and hold.state is not HoldState.RELEASED
            and period in names_of(hold.create_time)
            for hold in self.holds.values()
        )

    def _hold(self, request: HoldRequest, now: dt.datetime) -> Hold | str:
        due = self._due(request, now)
        if isinstance(due, str):
            return due
        amount, kind, surcharge = due
        made = Hold(request.job_id, request.team_id, amount, kind, HoldState.OPEN, now)
        made = replace(made, item=request.item, metered=request.metered, surcharge=surcharge)
        self.holds[request.job_id] = made
        return made

    def _due(self, request: HoldRequest, now: dt.datetime) -> tuple[int, ChargeKind, int] | str:
        plan = PLANS.find(request.plan)
        assert plan is not None
        if request.priority and not plan.priority_allowed:
            return "PLAN_LACKS_PRIORITY"
        if not request.billed:
            return 0, ChargeKind.TEST, 0
        return self._billed(request, plan, now)

    def _billed(self, request: HoldRequest, plan: Plan, now: dt.datetime) -> tuple[int, ChargeKind, int] | str:
        agreed = self.agreed.get(request.team_id)
        included = plan.included_job_count if agreed is None else agreed
        used = self.used(request.team_id, name_of(plan.period, now))
        if not request.metered and (included == "unlimited" or used < included):
            return 0, ChargeKind.INCLUDED, 0
        if not request.metered and not plan.overage_allowed:
            return "DAILY_LIMIT" if plan.period is Period.DAY else "QUOTA_EXCEEDED"
        surcharge = (request.price + 1) // 2 if request.priority and not request.metered else 0
        return self._afforded(request, request.price + surcharge, surcharge, now)

    def _afforded(
        self, request: HoldRequest, amount: int, surcharge: int, now: dt.datetime
    ) -> tuple[int, ChargeKind, int] | str:
        if request.max_amount is not None and amount > request.max_amount:
            return "MAX_COST_EXCEEDED"
        budget = self.budgets[request.team_id]
        if amount and budget is not None and self.level(request.team_id, now) + amount > budget:
            return "BUDGET_EXCEEDED"
        return amount, ChargeKind.PRICE, surcharge

    def _close(self, hold: Hold, state: HoldState, now: dt.datetime) -> Hold:
        if hold.state is HoldState.OPEN:
            hold = self.holds[hold.job_id] = replace(hold, state=state, close_time=now)
        return hold
