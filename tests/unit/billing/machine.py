"""Random lives of a ledger, each answer held against the plainest ledger, its laws after every step."""

import datetime as dt
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mesh.errors import MeshError
from services.billing.hold import Hold, HoldRequest, Operation, ReleaseRequest, SettleRequest
from tests.unit.billing.bookkeeping import NOW, PlainLedger

TEAMS, JOBS = 2, 8
PRICES = (0, 1, 10, 11)
"""So few, and budgets so near to their sums, that a limit is often met exactly."""


def operations() -> st.SearchStrategy[Any]:
    """An operation on a job and a team by their numbers, for `LedgerMachine.named`."""
    jobs = st.integers(0, JOBS - 1)
    return st.one_of(
        st.builds(
            HoldRequest,
            jobs,
            st.integers(0, TEAMS - 1),
            plan=st.sampled_from(["enterprise", "enterprise", "commercial", "student", "qcos_free"]),
            price=st.sampled_from(PRICES),
            billed=st.sampled_from([True, True, True, True, False]),
            priority=st.sampled_from([False, False, True]),
            max_amount=st.sampled_from([None, None, None, 10]),
            metered=st.sampled_from([False, False, True]),
        ),
        st.builds(SettleRequest, jobs),
        st.builds(ReleaseRequest, jobs),
    )


batches = st.lists(operations(), min_size=1, max_size=8)
limits = st.sampled_from([None, 0, 10, 20, 21, 30])


class LedgerMachine(RuleBasedStateMachine):
    """What every ledger goes through; a subclass has the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.teams, self.jobs = self.names()
        self.plain = PlainLedger(dict.fromkeys(self.teams))
        self.levels = dict.fromkeys(self.teams, 0)

    def names(self) -> tuple[list[Any], list[Any]]:
        raise NotImplementedError

    def new_job(self) -> Any:
        """An id that no job has."""
        raise NotImplementedError

    def apply(self, operations: list[Operation], now: dt.datetime) -> list[Hold | MeshError | None]:
        """The answers of one batch."""
        raise NotImplementedError

    def limit(self, team: Any, *, budget: int | None, agreed: int | None) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Raise where a law of the ledger is broken."""
        raise NotImplementedError

    def named(self, batch: list[Any]) -> list[Operation]:
        for each in batch:
            if isinstance(each.job_id, int):
                object.__setattr__(each, "job_id", self.jobs[each.job_id])
                if isinstance(each, HoldRequest):
                    object.__setattr__(each, "team_id", self.teams[each.team_id])
        return batch

    @rule(batch=batches)
    def decide(self, batch: list[Any]) -> None:
        """A batch decides as the plainest ledger does, one by one."""
        self.operate(self.named(batch))

    def operate(self, batch: list[Operation]) -> None:
        answers = [each.reason if isinstance(each, MeshError) else each for each in self.apply(batch, self.now)]
        assert answers == [self.plain.decide(operation, self.now) for operation in batch]

    @rule(team=st.integers(0, TEAMS - 1), paid=st.booleans(), first=st.sampled_from(PRICES))
    def fill(self, team: int, paid: bool, first: int) -> None:  # noqa: FBT001 - hypothesis passes what it draws
        """In one batch the budget is used to its end, and a micro-dollar more is refused, before and after that."""
        budget = self.plain.budgets[self.teams[team]]
        left = 0 if budget is None else budget - self.plain.level(self.teams[team], self.now)
        if left <= first:
            return
        holds = [
            HoldRequest(self.new_job(), self.teams[team], plan="enterprise", price=price, metered=True)
            for price in (first, left - first + 1, left - first, 1)
        ]
        self.operate([holds[0], *([SettleRequest(holds[0].job_id)] if paid else []), *holds[1:]])
        assert self.plain.level(self.teams[team], self.now) == budget

    @rule(order=st.randoms(use_true_random=False))
    def deliver_again(self, order: Any) -> None:
        """Whatever was done may be asked for again, in any order, and moves no more money."""
        known = [
            SettleRequest(job) if hold.state == 2 else ReleaseRequest(job) for job, hold in self.plain.holds.items()
        ]
        known = [each for each in known if self.plain.holds[each.job_id].state != 1]
        order.shuffle(known)
        if known:
            assert self.apply(known, self.now) == [self.plain.holds[each.job_id] for each in known]

    @rule(team=st.integers(0, TEAMS - 1), budget=limits, agreed=st.sampled_from([None, 0, 0, 1, 2]))
    def agree(self, team: int, budget: int | None, agreed: int | None) -> None:
        """A budget may fall below what is spent, and touches nothing that is held."""
        self.limit(self.teams[team], budget=budget, agreed=agreed)
        self.plain.budgets[self.teams[team]] = budget
        self.plain.agreed[self.teams[team]] = agreed

    @rule(hours=st.sampled_from([1, 24]))
    def wait(self, hours: int) -> None:
        self.now += dt.timedelta(hours=hours)
        self.levels = {team: self.plain.level(team, self.now) for team in self.teams}

    @invariant()
    def obey(self) -> None:
        self.check()
        for team in self.teams:
            level, budget = self.plain.level(team, self.now), self.plain.budgets[team]
            assert budget is None or level <= max(budget, self.levels[team])
            self.levels[team] = level
