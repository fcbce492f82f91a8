"""Billing through its RPCs: mTLS, a real PostgreSQL, and two processes on one ledger."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from qm.billing.v1 import billing_pb2 as pb
from qm.type.v1.money_pb2 import Money
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST

from deploy.admin import __main__ as admin
from mesh.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    MeshError,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    Unavailable,
)
from mesh.identity import Authority
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.bookkeeping import DOLLAR, Billing, ask, new_id, serving_billing


@pytest_asyncio.fixture(scope="module")
async def billing(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Billing]:
    async with serving_billing(postgres, nats_server, authority) as billing:
        yield billing
        assert await billing.violations() == []


async def test_a_job_is_held_then_charged_and_its_money_can_be_followed(billing: Billing):
    team, request = new_id(), ask(new_id(), 50 * DOLLAR)
    request.requester.team_id = team
    held = (await billing.first.HoldFunds(request)).hold
    assert (held.amount.micros, held.charge_kind, held.state) == (
        50 * DOLLAR,
        pb.CHARGE_KIND_PRICE,
        pb.HOLD_STATE_OPEN,
    )
    settled = await billing.settle(request)
    assert (settled.state, settled.create_time) == (pb.HOLD_STATE_SETTLED, held.create_time)
    assert await billing.settle(request) == settled
    told = await billing.look(team, request.job_id)
    assert told.hold == settled
    assert [(entry.transfer_id, entry.account, entry.amount.micros) for entry in told.entries] == [
        (f"{request.job_id}/hold", f"team/{team}/available", -50 * DOLLAR),
        (f"{request.job_id}/hold", f"team/{team}/held", 50 * DOLLAR),
        (f"{request.job_id}/settle", f"team/{team}/held", -50 * DOLLAR),
        (f"{request.job_id}/settle", "platform/revenue", 50 * DOLLAR),
    ]


async def test_a_repeat_through_another_process_returns_the_same_hold(billing: Billing):
    request = ask(new_id())
    answers = await asyncio.gather(
        *(each.HoldFunds(request) for each in itertools.islice(itertools.cycle((billing.first, billing.second)), 20))
    )
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    told = await billing.look(request.requester.team_id, request.job_id)
    assert len(told.entries) == 2


async def test_a_hold_ends_once(billing: Billing):
    settled, released = ask(new_id()), ask(new_id())
    for request in (settled, released):
        await billing.first.HoldFunds(request)
    await billing.settle(settled)
    first = await billing.release(released)
    assert first.hold.state == pb.HOLD_STATE_RELEASED
    assert await billing.release(released) == first
    with pytest.raises(Conflict) as late_release:
        await billing.release(settled)
    with pytest.raises(Conflict) as late_settle:
        await billing.settle(released)
    assert (late_release.value.reason, late_settle.value.reason) == ("HOLD_SETTLED", "HOLD_RELEASED")


async def test_a_hold_that_has_ended_is_not_made_anew_by_a_late_repeat(billing: Billing):
    team, ended = new_id(), []
    for end in (billing.settle, billing.release):
        request = ask(team)
        await billing.first.HoldFunds(request)
        await end(request)
        ended.append(request)
    await billing.first.HoldFunds(ask(team))  # the team's funds are known there, the ended holds are not
    states = [(await billing.first.HoldFunds(request)).hold.state for request in ended]
    assert states == [pb.HOLD_STATE_SETTLED, pb.HOLD_STATE_RELEASED]
    assert (await billing.usage(team)).spending.held.micros == DOLLAR


async def test_a_hold_that_another_process_ended_is_ended_here(billing: Billing):
    first, second = ask(new_id()), ask(new_id())
    for request in (first, second):
        await billing.first.HoldFunds(request)
    await billing.second.ReleaseHold(pb.ReleaseHoldRequest(job_id=first.job_id))
    await billing.first.HoldFunds(ask(new_id()))
    with pytest.raises(Conflict) as late:
        await billing.settle(first)
    assert late.value.reason == "HOLD_RELEASED"
    assert (await billing.settle(second)).state == pb.HOLD_STATE_SETTLED


async def test_ending_what_was_never_held(billing: Billing):
    assert not (await billing.release(ask(new_id()))).HasField("hold")
    with pytest.raises(NotFound) as refusal:
        await billing.settle(ask(new_id()))
    assert refusal.value.reason == "HOLD_NOT_FOUND"


async def test_another_teams_hold_is_not_found(billing: Billing):
    request = ask(new_id())
    await billing.first.HoldFunds(request)
    with pytest.raises(NotFound):
        await billing.look(new_id(), request.job_id)


async def test_another_teams_job_id_is_taken(billing: Billing):
    request = ask(new_id())
    await billing.first.HoldFunds(request)
    request.requester.team_id = new_id()
    with pytest.raises(Conflict) as refusal:
        await billing.second.HoldFunds(request)
    assert refusal.value.reason == "JOB_ID_TAKEN"


async def test_a_thousand_holds_at_once_use_a_budget_to_the_last_micro_dollar(billing: Billing):
    team, price = new_id(), 333_333
    await billing.give_budget(team, 400 * price + price - 1)
    requests = [ask(team, price) for _ in range(1000)]
    asking = zip(requests, itertools.cycle((billing.first, billing.second)), strict=False)
    answers = await asyncio.gather(
        *(each.HoldFunds(request, timeout=30) for request, each in asking), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {(type(each), each.reason) for each in refused if isinstance(each, MeshError)} == {
        (PaymentRequired, "BUDGET_EXCEEDED")
    }
    assert len(answers) - len(refused) == 400
    [balance] = await billing.home.rows("SELECT amount FROM balances WHERE account = $1", f"team/{team}/held")
    assert balance["amount"] == 400 * price
    with pytest.raises(PaymentRequired, match=r"has \$0\.333332 left"):
        await billing.first.HoldFunds(ask(team, price))
    assert (await billing.first.HoldFunds(ask(team, price - 1))).hold.amount.micros == price - 1
    assert await billing.violations() == []


async def test_students_asking_at_once_get_their_five_jobs_and_a_released_one_back(billing: Billing):
    team = new_id()
    requests = [ask(team, plan="student") for _ in range(30)]
    asking = zip(requests, itertools.cycle((billing.first, billing.second)), strict=False)
    answers = await asyncio.gather(*(each.HoldFunds(request) for request, each in asking), return_exceptions=True)
    included = [answer.hold for answer in answers if isinstance(answer, pb.HoldFundsResponse)]
    assert [(hold.amount.micros, hold.charge_kind) for hold in included] == [(0, pb.CHARGE_KIND_INCLUDED)] * 5
    assert {each.reason for each in answers if isinstance(each, PermissionDenied)} == {"QUOTA_EXCEEDED"}
    await billing.first.ReleaseHold(pb.ReleaseHoldRequest(job_id=included[0].job_id))
    await billing.first.HoldFunds(ask(team, plan="student"))
    with pytest.raises(PermissionDenied, match=r"begins at \d{4}-\d\d-01T00:00:00Z"):
        await billing.second.HoldFunds(ask(team, plan="student"))


async def test_a_test_key_is_never_billed(billing: Billing):
    team = new_id()
    await billing.give_budget(team, 0)
    for _ in range(7):
        hold = (await billing.first.HoldFunds(ask(team, plan="student", environment=ENVIRONMENT_TEST))).hold
        assert (hold.amount.micros, hold.charge_kind) == (0, pb.CHARGE_KIND_TEST)
    assert len((await billing.look(team, hold.job_id)).entries) == 0


async def test_a_maximum_below_the_cost_is_refused_before_anything_is_held(billing: Billing):
    request = ask(new_id(), 10)
    request.max_amount.CopyFrom(Money(currency_code="USD", micros=9))
    with pytest.raises(InvalidArgument) as refusal:
        await billing.first.HoldFunds(request)
    assert (refusal.value.reason, refusal.value.field) == ("MAX_COST_EXCEEDED", "max_cost_usd")
    assert not (await billing.release(request)).HasField("hold")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": Money(currency_code="EUR", micros=1)}, "UNSUPPORTED_CURRENCY"),
        ({"price": Money(currency_code="USD", micros=-1)}, "AMOUNT_OUT_OF_RANGE"),
        ({"price": Money(currency_code="USD", micros=2**63 - 1)}, "AMOUNT_OUT_OF_RANGE"),
        ({"max_amount": Money(currency_code="USD", micros=-1)}, "AMOUNT_OUT_OF_RANGE"),
    ],
)
async def test_an_amount_that_cannot_be_is_refused(billing: Billing, change: dict[str, Money], reason: str):
    request = ask(new_id())
    for field, amount in change.items():
        getattr(request, field).CopyFrom(amount)
    with pytest.raises(InvalidArgument) as refusal:
        await billing.first.HoldFunds(request)
    assert refusal.value.reason == reason


async def test_open_holds_are_listed_oldest_first(billing: Billing):
    requests = [ask(new_id()) for _ in range(3)]
    for request in requests:
        await billing.first.HoldFunds(request)
    await billing.settle(requests[1])
    listed = await billing.first.ListOpenHolds(pb.ListOpenHoldsRequest(min_age=Duration(), page_size=1000))
    mine = {request.job_id for request in requests}
    assert [hold.job_id for hold in listed.holds if hold.job_id in mine] == [requests[0].job_id, requests[2].job_id]
    older = await billing.first.ListOpenHolds(pb.ListOpenHoldsRequest(min_age=Duration(seconds=3600), page_size=1000))
    assert list(older.holds) == []
    one = await billing.first.ListOpenHolds(pb.ListOpenHoldsRequest(min_age=Duration(), page_size=1))
    assert len(one.holds) == 1


@pytest.mark.parametrize("seconds", [-1, 2**62])
async def test_an_age_that_cannot_be_is_refused(billing: Billing, seconds: int):
    request = pb.ListOpenHoldsRequest(min_age=Duration(seconds=seconds), page_size=1)
    with pytest.raises(InvalidArgument):
        await billing.first.ListOpenHolds(request)


async def test_plans_are_told_in_the_order_of_the_table(billing: Billing):
    plans = (await billing.operator.ListPlans(pb.ListPlansRequest())).plans
    assert [plan.plan for plan in plans if plan.dialect == "qmumma"] == [
        "student",
        "academic",
        "commercial",
        "enterprise",
    ]
    tier = next(plan for plan in plans if plan.plan == "qcos_enterprise")
    assert (tier.included_unlimited, tier.included_per, tier.price_eur) == (True, pb.PERIOD_DAY, "custom")
    assert (plans[2].requests_per_minute, plans[2].burst_count, plans[2].certificate_allowed) == (300, 500, True)


async def test_the_edge_may_not_hold_funds(billing: Billing):
    with pytest.raises(PermissionDenied) as refusal:
        await billing.edge.HoldFunds(ask(new_id()))
    assert refusal.value.reason == "CALLER_NOT_ALLOWED"


async def test_a_killed_database_loses_and_doubles_nothing(billing: Billing, postgres: RunningPostgres):
    team, answers, few = new_id(), itertools.count(1), asyncio.Semaphore(8)
    requests = [ask(team, 7) for _ in range(200)]
    failures: list[str] = []

    async def insist(call: Callable[[], Awaitable[object]]) -> None:
        """Try again as callers do: every operation is keyed by its job."""
        while True:
            try:
                await call()
            except (Unavailable, DeadlineExceeded) as error:
                failures.append(error.reason)
                await postgres.ready()
            else:
                break
        if next(answers) == 100:
            postgres.kill()

    async def run(request: pb.HoldFundsRequest) -> None:
        async with few:
            await insist(lambda: billing.first.HoldFunds(request, timeout=10))
            await insist(lambda: billing.second.SettleHold(pb.SettleHoldRequest(job_id=request.job_id), timeout=10))

    await asyncio.gather(*(run(request) for request in requests))
    assert failures
    rows = await billing.home.rows(
        "SELECT account, amount FROM balances WHERE account LIKE $1 ORDER BY 1", f"team/{team}/%"
    )
    assert [(row["account"].rpartition("/")[2], row["amount"]) for row in rows] == [("available", -1400), ("held", 0)]
    assert await billing.violations() == []


LIES = [
    (
        "UPDATE entries SET amount = amount {} 1 WHERE account LIKE '%/available' AND transfer_id LIKE '{job}%'",
        [
            "the sum of all entries is 1 micros, not 0",
            "the transfer {job}/hold sums to 1 micros, not 0",
            "the entry {job}/hold of team/{team}/available is of -4 micros, its hold says -5",
            "the balance of team/{team}/available is -5 micros, its entries sum to -4",
        ],
    ),
    (
        "UPDATE balances SET amount = amount {} 1 WHERE account = 'platform/revenue'",
        ["the balance of platform/revenue is 9 micros, its entries sum to 8"],
    ),
    (
        "UPDATE balances SET amount = amount {} -6 WHERE account LIKE '%/held' AND amount <> 0",
        [
            "the account team/{team}/held has -1 micros, below 0",
            "the account team/{team}/held has -1 micros, the open holds 5",
            "the balance of team/{team}/held is -1 micros, its entries sum to 5",
        ],
    ),
    (
        "UPDATE holds SET amount = amount {} 1 WHERE state = 2 AND amount > 0",
        [
            "the entry {settled}/hold of team/{payer}/available is of -8 micros, its hold says -9",
            "the entry {settled}/hold of team/{payer}/held is of 8 micros, its hold says 9",
            "the entry {settled}/settle of platform/revenue is of 8 micros, its hold says 9",
            "the entry {settled}/settle of team/{payer}/held is of -8 micros, its hold says -9",
            "the charges of {payer} in {day} are counted as 8 micros, its holds say 9",
            "the charges of {payer} in {month} are counted as 8 micros, its holds say 9",
        ],
    ),
    (
        "UPDATE periods SET used_count = used_count {} 1 WHERE used_count <> 0 AND length(period) = 7",
        ["the included jobs of {included} in {month} are counted as 2, its holds say 1"],
    ),
    (
        "UPDATE periods SET charge_count = charge_count {} 1 WHERE charge_count <> 0 AND length(period) = 10",
        ["the charges of {payer} in {day} are counted as 2, its holds say 1"],
    ),
]
"""What may befall a ledger, and is undone by the sign; and what is then said."""


async def test_a_broken_ledger_is_named(
    postgres: RunningPostgres,
    nats_server: RunningNats,
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    config = tmp_path / "operator.toml"
    check = ["ledger", "check", "--json", "--config", str(config)]
    async with serving_billing(postgres, nats_server, authority) as billing:
        config.write_text(f'identity_folder = "{authority.folder}"\n[peers]\nbilling = "{billing.address}"\n')
        opened, settled, included = ask(new_id(), 5), ask(new_id(), 8), ask(new_id(), plan="academic")
        for each in (opened, settled, included):
            hold = (await billing.first.HoldFunds(each)).hold
        await billing.settle(settled)
        names = {
            "job": opened.job_id,
            "team": opened.requester.team_id,
            "settled": settled.job_id,
            "payer": settled.requester.team_id,
            "included": included.requester.team_id,
            "day": hold.create_time.ToJsonString()[:10],
            "month": hold.create_time.ToJsonString()[:7],
        }
        for lie, complaints in LIES:
            await billing.home.rows(lie.format("+", **names))
            checked = await billing.operator.CheckLedger(pb.CheckLedgerRequest())
            assert sorted(checked.violations) == sorted(each.format(**names) for each in complaints)
            await billing.home.rows(lie.format("-", **names))
        capsys.readouterr()
        assert await asyncio.to_thread(admin.main, check) == 0
        assert json.loads(capsys.readouterr().out)["violations"] == []
        await billing.home.rows("DELETE FROM entries WHERE transfer_id LIKE '%/settle'")
        checked = await billing.operator.CheckLedger(pb.CheckLedgerRequest())
        assert (checked.open_hold_count, checked.open_hold_amount.micros, checked.entry_count) == (2, 5, 4)
        lost = "the entry {settled}/settle of platform/revenue is of 0 micros, its hold says 8".format(**names)
        assert lost in checked.violations
        assert await asyncio.to_thread(admin.main, check) == 1
        said = capsys.readouterr()
        assert {"law": lost} in json.loads(said.out)["violations"]
        assert "the ledger breaks its laws" in said.err


async def test_a_price_is_told_as_it_would_be_held_and_reserves_nothing(billing: Billing):
    def price_of(hold: pb.HoldFundsRequest, **changes: bool) -> Awaitable[pb.PriceJobResponse]:
        return billing.first.PriceJob(pb.PriceJobRequest(requester=hold.requester, price=hold.price, **changes))

    student = ask(new_id(), plan="student")
    for _ in range(7):  # of five included jobs
        told = await price_of(student)
        assert (told.amount.micros, told.charge_kind) == (0, pb.CHARGE_KIND_INCLUDED)
    with pytest.raises(PermissionDenied):
        await price_of(student, priority=True)
    enterprise = ask(new_id(), 50 * DOLLAR)
    told = await price_of(enterprise)
    held = (await billing.first.HoldFunds(enterprise)).hold
    assert (told.amount.micros, told.charge_kind) == (50 * DOLLAR, pb.CHARGE_KIND_PRICE)
    assert (held.amount, held.charge_kind) == (told.amount, told.charge_kind)
    bounded = pb.PriceJobRequest(requester=enterprise.requester, price=enterprise.price, max_amount=Money())
    bounded.max_amount.currency_code = "USD"
    with pytest.raises(InvalidArgument):
        await billing.first.PriceJob(bounded)
