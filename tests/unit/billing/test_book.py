"""What one batch of holds, settlements and releases does to the ledger."""

import datetime as dt
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import Conflict, MeshError, NotFound, PaymentRequired
from services.billing.hold import (
    ChargeKind,
    Hold,
    HoldRequest,
    HoldState,
    JobId,
    Operation,
    ReleaseRequest,
    SettleRequest,
    TeamId,
)
from services.billing.ledger import gains
from tests.unit.billing.bookkeeping import NOW, Ledger

JOBS = [f"job-{number}" for number in range(8)]
BUDGETS = {"alpha": 100, "beta": None, "gamma": 0}


def ask(job: str = "job-0", team: str = "alpha", *, plan: str = "enterprise", price: int = 60) -> HoldRequest:
    return HoldRequest(JobId(job), TeamId(team), plan=plan, price=price)


jobs = st.sampled_from(JOBS)
operations = st.one_of(
    st.builds(
        HoldRequest,
        jobs,
        st.sampled_from(list(BUDGETS)),
        plan=st.sampled_from(["student", "academic", "commercial", "enterprise"]),
        price=st.integers(0, 70),
        billed=st.booleans(),
        priority=st.booleans(),
        max_amount=st.none() | st.integers(0, 100),
    ),
    st.builds(SettleRequest, jobs),
    st.builds(ReleaseRequest, jobs),
)


@settings(deadline=None)
@given(st.lists(operations, max_size=20), st.lists(st.integers(1, 19), max_size=4))
def test_batches_decide_as_one_by_one_would(history: list[Operation], cuts: list[int]):
    together, apart = Ledger(dict(BUDGETS)), Ledger(dict(BUDGETS))
    edges = sorted({0, *[cut for cut in cuts if cut < len(history)], len(history)})
    answers = [answer for start, end in pairwise(edges) for answer in together.run(history[start:end])]
    singly = [apart.run([operation])[0] for operation in history]
    assert [_told(answer) for answer in answers] == [_told(answer) for answer in singly]
    assert together.holds == apart.holds
    assert gains(together.entries) == gains(apart.entries)


@settings(deadline=None)
@given(st.lists(operations, max_size=20))
def test_a_repeated_history_moves_no_more_money(history: list[Operation]):
    ledger = Ledger(dict(BUDGETS))
    ledger.run(history)
    before = list(ledger.entries)
    kept = dict(ledger.holds)
    known = [operation for operation in history if operation.job_id in kept]
    ledger.run([operation for operation in known if isinstance(operation, HoldRequest)])
    assert (ledger.entries, ledger.holds) == (before, kept)


def _told(answer: Hold | MeshError | None) -> object:
    return answer.reason if isinstance(answer, MeshError) else answer


def test_a_hold_moves_money_from_available_to_held():
    ledger = Ledger(dict(BUDGETS))
    hold = ledger.one(ask(price=60))
    assert hold == Hold("job-0", "alpha", 60, ChargeKind.PRICE, HoldState.OPEN, NOW)
    assert gains(ledger.entries) == {"team/alpha/available": -60, "team/alpha/held": 60}
    assert {entry.transfer_id for entry in ledger.entries} == {"job-0/hold"}


def test_a_settled_hold_is_revenue_and_a_repeat_changes_nothing():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask(price=60), SettleRequest("job-0")])
    settled = ledger.one(SettleRequest("job-0"), NOW + dt.timedelta(hours=1))
    assert (settled.state, settled.close_time) == (HoldState.SETTLED, NOW)
    assert gains(ledger.entries) == {"team/alpha/available": -60, "team/alpha/held": 0, "platform/revenue": 60}


def test_a_released_hold_is_available_again_and_a_repeat_changes_nothing():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask(price=60), ReleaseRequest("job-0"), ReleaseRequest("job-0")])
    assert gains(ledger.entries) == {"team/alpha/available": 0, "team/alpha/held": 0}
    assert ledger.one(ask("job-1", price=100)).amount == 100


def test_a_repeated_hold_is_the_same_hold_whatever_became_of_it():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask(price=60), SettleRequest("job-0")])
    assert ledger.one(ask(price=10, plan="nonsense")) == ledger.holds["job-0"]


def test_another_teams_job_id_is_taken():
    ledger = Ledger(dict(BUDGETS))
    ledger.one(ask(team="beta"))
    with pytest.raises(Conflict) as refusal:
        ledger.one(ask(team="alpha"))
    assert refusal.value.reason == "JOB_ID_TAKEN"


def test_a_hold_ends_once():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask("job-0", "beta"), ask("job-1", "beta"), SettleRequest("job-0"), ReleaseRequest("job-1")])
    with pytest.raises(Conflict) as settled:
        ledger.one(ReleaseRequest("job-0"))
    with pytest.raises(Conflict) as released:
        ledger.one(SettleRequest("job-1"))
    assert (settled.value.reason, released.value.reason) == ("HOLD_SETTLED", "HOLD_RELEASED")


def test_settling_nothing_is_not_found_and_releasing_nothing_is_no_error():
    ledger = Ledger(dict(BUDGETS))
    with pytest.raises(NotFound):
        ledger.one(SettleRequest("job-0"))
    assert ledger.one(ReleaseRequest("job-0")) is None


def test_a_budget_is_used_to_the_last_micro_dollar_and_not_passed():
    ledger = Ledger(dict(BUDGETS))
    ledger.one(ask("job-0", price=60))
    with pytest.raises(PaymentRequired) as refusal:
        ledger.one(ask("job-1", price=41))
    assert refusal.value.reason == "BUDGET_EXCEEDED"
    assert refusal.value.metadata == {
        "cost_micros": "41",
        "left_micros": "40",
        "reset_time": "2026-12-01T00:00:00Z",
    }
    assert str(refusal.value) == (
        "This costs $0.000041 and the team's budget of $0.0001 for 2026-11 has $0.00004 left: $0.00 are spent and "
        "$0.00006 held. An owner or admin of the team can raise it; the next month begins at 2026-12-01T00:00:00Z."
    )
    assert ledger.one(ask("job-2", price=40)).amount == 40


def test_a_budget_is_whole_again_next_month_but_for_what_is_still_held():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask("job-0", price=60), ask("job-1", price=30), SettleRequest("job-0")])
    with pytest.raises(PaymentRequired):
        ledger.one(ask("job-2", price=11))
    december = NOW + dt.timedelta(hours=1)
    with pytest.raises(PaymentRequired):
        ledger.one(ask("job-2", price=71), december)
    ledger.one(ask("job-2", price=70), december)
    ledger.run([SettleRequest("job-1"), SettleRequest("job-2")], december)
    assert ledger.spent["alpha", "2026-11"] == 60
    assert ledger.spent["alpha", "2026-12"] == ledger.spent["alpha", "2026-12-01"] == 100


def test_metered_use_counts_towards_the_budget_and_not_towards_the_jobs():
    ledger = Ledger(dict(BUDGETS))
    ledger.one(replace(ask("job-0", price=90, plan="student"), metered=True))
    assert +ledger.used == Counter()
    with pytest.raises(PaymentRequired):
        ledger.one(replace(ask("job-1", price=11, plan="student"), metered=True))
    assert ledger.one(ask("job-2", plan="student")).charge_kind is ChargeKind.INCLUDED


def test_a_budget_below_what_is_held_refuses_what_is_new_and_touches_nothing():
    ledger = Ledger(dict(BUDGETS))
    ledger.one(ask("job-0", price=60))
    ledger.budgets["alpha"] = 10
    with pytest.raises(PaymentRequired, match=r"has \$0\.00 left"):
        ledger.one(ask("job-1", price=1))
    assert ledger.one(SettleRequest("job-0")).amount == 60
    assert ledger.one(ask("job-2", price=0)).amount == 0


def test_what_costs_nothing_passes_an_empty_budget():
    ledger = Ledger(dict(BUDGETS))
    assert ledger.one(ask("job-0", "gamma", plan="commercial")).amount == 0
    assert ledger.entries == []


def test_a_released_included_job_is_given_back():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask(job, "gamma", plan="student") for job in JOBS[:5]])
    sixth = ask(JOBS[5], "gamma", plan="student")
    [refused, _, accepted] = ledger.run([sixth, ReleaseRequest(JOBS[0]), sixth])
    assert refused.reason == "QUOTA_EXCEEDED"
    assert accepted.charge_kind is ChargeKind.INCLUDED


def test_an_included_job_is_given_back_to_the_month_that_it_came_from():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([ask(job, "gamma", plan="student") for job in JOBS[:5]])
    december = NOW + dt.timedelta(hours=1)
    ledger.run([ask(JOBS[5], "gamma", plan="student"), ReleaseRequest(JOBS[0])], december)
    assert +ledger.used == {
        ("gamma", "2026-11"): 4,
        ("gamma", "2026-11-30"): 4,
        ("gamma", "2026-12"): 1,
        ("gamma", "2026-12-01"): 1,
    }


def test_a_refusal_leaves_nothing_behind():
    ledger = Ledger(dict(BUDGETS))
    ledger.run([replace(ask(price=60), max_amount=10), ask(price=200), replace(ask(plan="student"), priority=True)])
    assert (ledger.holds, ledger.entries, +ledger.used) == ({}, [], Counter())
