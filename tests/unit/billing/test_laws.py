"""The laws of the ledger over random lives of it."""

import datetime as dt
import itertools
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from mesh.errors import MeshError
from services.billing.hold import Hold, HoldState, Operation
from services.billing.ledger import REVENUE, available, gains, held
from services.billing.period import names_of
from tests.unit.billing.bookkeeping import Ledger
from tests.unit.billing.machine import JOBS, TEAMS, LedgerMachine


class BookMachine(LedgerMachine):
    """The book by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(dict.fromkeys(self.teams))
        self.numbers = itertools.count()

    def names(self) -> tuple[list[Any], list[Any]]:
        return [f"team-{number}" for number in range(TEAMS)], [f"job-{number}" for number in range(JOBS)]

    def new_job(self) -> Any:
        return f"new-{next(self.numbers)}"

    def apply(self, operations: list[Operation], now: dt.datetime) -> list[Hold | MeshError | None]:
        return self.ledger.run(operations, now)

    def limit(self, team: Any, *, budget: int | None, agreed: int | None) -> None:
        self.ledger.budgets[team], self.ledger.agreed[team] = budget, agreed

    def check(self) -> None:
        ledger, plain = self.ledger, self.plain
        per_transfer: Counter[str] = Counter()
        for entry in ledger.entries:
            per_transfer[entry.transfer_id] += entry.amount
        assert set(per_transfer.values()) <= {0}
        assert len({(entry.transfer_id, entry.account) for entry in ledger.entries}) == len(ledger.entries)
        balances = gains(ledger.entries)
        for team in self.teams:
            own = [hold for hold in plain.holds.values() if hold.team_id == team]
            open_amount = sum(hold.amount for hold in own if hold.state is HoldState.OPEN)
            owed = sum(hold.amount for hold in own if hold.state is not HoldState.RELEASED)
            assert (balances.get(held(team), 0), balances.get(available(team), 0)) == (open_amount, -owed)
            assert open_amount >= 0
            for name in names_of(self.now):
                assert ledger.used[team, name] == plain.used(team, name)
        settled = [hold.amount for hold in plain.holds.values() if hold.state is HoldState.SETTLED]
        assert balances.get(REVENUE, 0) == sum(settled)
        assert sum(amount for (_, name), amount in ledger.spent.items() if len(name) == 7) == sum(settled)


def test_every_life_of_a_ledger_obeys_its_laws_and_decides_as_the_plainest_one():
    run_state_machine_as_test(BookMachine, settings=settings(max_examples=25, stateful_step_count=16, deadline=None))
