"""What billing keeps of a team: its budget and terms, its usage, its statements. Two processes, one PostgreSQL."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from qm.audit.v1.audit_pb2 import AuditEvent, AuditEvents
from qm.billing.v1 import billing_pb2 as pb
from qm.type.v1.money_pb2 import Money
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST

from mesh.errors import InvalidArgument, MeshError, NotFound, PaymentRequired, PermissionDenied, ResourceExhausted
from mesh.events import Events
from mesh.identity import Authority
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.bookkeeping import DOLLAR, Billing, ask, new_id, serving_billing


@pytest_asyncio.fixture(scope="module")
async def billing(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Billing]:
    async with serving_billing(postgres, nats_server, authority) as billing:
        yield billing
        assert await billing.violations() == []


def this_month() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()[:7]


def statement_of(team: str, **page: object) -> pb.GetStatementRequest:
    return pb.GetStatementRequest(team_id=team, month=this_month(), **page)  # type: ignore[arg-type]


async def test_usage_tells_what_is_spent_held_and_left(billing: Billing):
    team = new_id()
    told = await billing.usage(team)
    assert (told.spending.month, told.spending.HasField("budget")) == (this_month(), False)
    await billing.give_budget(team, 10 * DOLLAR)
    charged, held = ask(team, 4 * DOLLAR), ask(team, 3 * DOLLAR)
    for each in (charged, held):
        await billing.first.HoldFunds(each)
    await billing.settle(charged)
    spending = (await billing.usage(team)).spending
    assert (spending.spent.micros, spending.held.micros, spending.budget.micros) == (
        4 * DOLLAR,
        3 * DOLLAR,
        10 * DOLLAR,
    )
    metered = ask(team, 3 * DOLLAR + 1)
    metered.metered = True
    with pytest.raises(PaymentRequired, match=r"has \$3\.00 left: \$4\.00 are spent and \$3\.00 held"):
        await billing.second.HoldFunds(metered)
    await billing.release(held)
    await billing.second.HoldFunds(metered)
    await billing.release(metered)


async def test_a_budget_is_removed_by_setting_none(billing: Billing):
    team = new_id()
    await billing.give_budget(team, 0)
    with pytest.raises(PaymentRequired):
        await billing.first.HoldFunds(ask(team))
    removed = await billing.operator.SetBudget(pb.SetBudgetRequest(team_id=team))
    assert not removed.spending.HasField("budget")
    await billing.first.HoldFunds(ask(team))


async def test_a_budget_that_falls_among_a_hundred_holds_lets_none_pass_once_it_is_answered(billing: Billing):
    team = new_id()
    requests = [ask(team) for _ in range(100)]
    asking = zip(requests, itertools.cycle((billing.first, billing.second)), strict=False)
    holds = [asyncio.create_task(each.HoldFunds(request)) for request, each in asking]  # type: ignore[arg-type]
    done, _ = await asyncio.wait(holds, return_when=asyncio.FIRST_COMPLETED)
    assert done
    answered = await billing.operator.SetBudget(
        pb.SetBudgetRequest(team_id=team, budget=Money(currency_code="USD", micros=2 * DOLLAR))
    )
    answers = await asyncio.gather(*holds, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, MeshError)]
    assert {each.reason for each in refused} <= {"BUDGET_EXCEEDED"}
    held = (await billing.usage(team)).spending.held.micros
    assert held == (len(requests) - len(refused)) * DOLLAR == max(answered.spending.held.micros, 2 * DOLLAR)


async def test_ten_budgets_at_once_leave_one_of_them(billing: Billing):
    team = new_id()
    answers = await asyncio.gather(
        *(
            each.SetBudget(pb.SetBudgetRequest(team_id=team, budget=Money(currency_code="USD", micros=micros)))
            for micros, each in zip(range(10), itertools.cycle((billing.operator,)), strict=False)
        )
    )
    assert sorted(answer.spending.budget.micros for answer in answers) == list(range(10))
    assert (await billing.usage(team)).spending.budget.micros in range(10)


async def test_every_change_of_limits_is_told_to_the_audit_trail(billing: Billing, nats_server: RunningNats):
    team = new_id()
    heard: asyncio.Queue[AuditEvent] = asyncio.Queue()

    async def hear(_subject: str, payload: bytes) -> None:
        for event in AuditEvents.FromString(payload).events:
            heard.put_nowait(event)

    trail = await Events.connect(nats_server.url, nats_server.identity("operator"))
    await trail.subscribe(f"audit.event.{team}", hear)
    await billing.give_budget(team, DOLLAR // 2)
    await billing.operator.SetBudget(pb.SetBudgetRequest(team_id=team))
    await billing.operator.SetTerms(pb.SetTermsRequest(team_id=team, included_job_count=7))
    told = [await asyncio.wait_for(heard.get(), 5) for _ in range(3)]
    await trail.close()
    assert [(event.action, dict(event.details)) for event in told] == [
        ("budget.set", {"by": "operator", "before": "none", "after": "$0.50"}),
        ("budget.removed", {"by": "operator", "before": "$0.50", "after": "none"}),
        ("terms.set", {"by": "operator", "included_jobs_before": "plan", "included_jobs_after": "7"}),
    ]


async def test_agreed_jobs_take_the_place_of_the_plans_until_they_are_removed(billing: Billing):
    team = new_id()
    await billing.operator.SetTerms(pb.SetTermsRequest(team_id=team, included_job_count=2))
    kinds = [(await billing.first.HoldFunds(ask(team))).hold.charge_kind for _ in range(3)]
    assert kinds == [pb.CHARGE_KIND_INCLUDED, pb.CHARGE_KIND_INCLUDED, pb.CHARGE_KIND_PRICE]
    told = await billing.usage(team)
    assert (told.agreed, told.included_job_count, told.used_job_count) == (True, 2, 2)
    await billing.operator.SetTerms(pb.SetTermsRequest(team_id=team))
    told = await billing.usage(team, "academic")
    assert (told.agreed, told.included_job_count, told.used_job_count) == (False, 30, 2)


async def test_the_jobs_of_a_tier_of_qcos_are_counted_by_the_day(billing: Billing):
    team = new_id()
    for _ in range(10):
        await billing.first.HoldFunds(ask(team, plan="qcos_free"))
    with pytest.raises(ResourceExhausted) as refusal:
        await billing.second.HoldFunds(ask(team, plan="qcos_free"))
    assert refusal.value.reason == "DAILY_LIMIT"
    assert 0 < int(refusal.value.metadata["retry_after_seconds"]) <= 86_400
    told = await billing.usage(team, "qcos_free")
    assert (told.included_job_count, told.used_job_count, told.plan.included_per) == (10, 10, pb.PERIOD_DAY)
    assert (await billing.usage(team, "qcos_enterprise")).plan.included_unlimited


async def test_a_program_past_the_size_of_a_tier_is_refused_and_priced_no_better(billing: Billing):
    request = ask(new_id(), plan="qcos_free")
    request.qubit_count, request.shot_count = 20, 1025
    priced = pb.PriceJobRequest(requester=request.requester, price=request.price, qubit_count=21, shot_count=1024)
    for refused in (billing.first.HoldFunds(request), billing.first.PriceJob(priced)):
        with pytest.raises(PermissionDenied) as refusal:
            await refused
        assert refusal.value.reason == "TIER_LIMIT"


async def test_a_statement_adds_up_to_the_ledger_line_by_line(billing: Billing):
    team = new_id()
    await billing.operator.SetTerms(pb.SetTermsRequest(team_id=team, included_job_count=1))
    included, plain, urgent, bits, failed = (ask(team, 1_000_001) for _ in range(5))
    urgent.priority, urgent.item, bits.metered, bits.item = True, "vqe.molecular.v2", True, "entropy, 1 bits"
    test, still = ask(team, environment=ENVIRONMENT_TEST), ask(team)
    for each in (included, plain, urgent, bits, failed, test, still):
        await billing.first.HoldFunds(each)
    for each in (included, plain, urgent, bits, test):
        await billing.settle(each)
    await billing.release(failed)
    statement = await billing.edge.GetStatement(statement_of(team, page_size=10))
    assert [(hold.job_id, hold.amount.micros, hold.surcharge.micros, hold.item) for hold in statement.charges] == [
        (included.job_id, 0, 0, ""),
        (plain.job_id, 1_000_001, 0, ""),
        (urgent.job_id, 1_500_002, 500_001, "vqe.molecular.v2"),
        (bits.job_id, 1_000_001, 0, "entropy, 1 bits"),
    ]
    assert [(line.charge_kind, line.metered, line.job_count, line.amount.micros) for line in statement.lines] == [
        (pb.CHARGE_KIND_PRICE, False, 2, 2_500_003),
        (pb.CHARGE_KIND_PRICE, True, 1, 1_000_001),
        (pb.CHARGE_KIND_INCLUDED, False, 1, 0),
        (pb.CHARGE_KIND_TEST, False, 1, 0),
    ]
    assert (statement.owed_before.micros, statement.owed_after.micros) == (0, 3_500_004)
    assert (statement.released_count, statement.final, statement.has_more) == (1, False, False)
    [owed] = await billing.home.rows(
        "SELECT -sum(amount)::bigint AS micros FROM entries WHERE account LIKE $1", f"team/{team}/%"
    )
    assert owed["micros"] == statement.owed_after.micros
    months = (await billing.edge.ListStatements(pb.ListStatementsRequest(team_id=team, page_size=10))).statements
    assert [(month.month, month.charged.micros, month.charge_count, month.final) for month in months] == [
        (this_month(), 3_500_004, 4, False)
    ]


async def test_a_long_statement_comes_in_pages(billing: Billing):
    team = new_id()
    requests = [ask(team, 1) for _ in range(7)]
    await asyncio.gather(*(billing.first.HoldFunds(request) for request in requests))
    await asyncio.gather(*(billing.settle(request) for request in requests))
    seen: list[str] = []
    more = True
    while more:
        after = seen[-1] if seen else ""
        page = await billing.edge.GetStatement(statement_of(team, page_size=3, after_job_id=after))
        seen += [hold.job_id for hold in page.charges]
        more = page.has_more
        assert page.owed_after.micros == 7
    assert sorted(seen) == sorted(request.job_id for request in requests)
    for stranger in (new_id(), requests[0].job_id):
        with pytest.raises(NotFound) as refusal:
            await billing.edge.GetStatement(
                pb.GetStatementRequest(team_id=new_id(), month=this_month(), page_size=3, after_job_id=stranger)
            )
        assert refusal.value.reason == "CHARGE_NOT_FOUND"


async def test_months_past_are_final_and_come_newest_first(billing: Billing):
    team = new_id()
    request = ask(team, 5)
    await billing.first.HoldFunds(request)
    await billing.settle(request)
    await billing.home.rows(
        "INSERT INTO periods SELECT $1, '2020-' || to_char(month, 'FM00'), 0, 10, 1 FROM generate_series(1, 12) month",
        team,
    )
    first = await billing.edge.ListStatements(pb.ListStatementsRequest(team_id=team, page_size=5))
    assert [month.month for month in first.statements] == [this_month(), "2020-12", "2020-11", "2020-10", "2020-09"]
    assert [month.final for month in first.statements] == [False, True, True, True, True]
    rest = pb.ListStatementsRequest(team_id=team, page_size=100, after_month="2020-09")
    last = await billing.edge.ListStatements(rest)
    assert ([month.month for month in last.statements][-1], last.has_more, first.has_more) == ("2020-01", False, True)
    owed = await billing.edge.GetStatement(statement_of(team))
    assert (owed.owed_before.micros, owed.owed_after.micros, len(owed.charges)) == (120, 125, 0)
    await billing.home.rows("DELETE FROM periods WHERE team_id = $1 AND period LIKE '2020%'", team)


@pytest.mark.parametrize(
    ("month", "error"), [("0000-01", InvalidArgument), ("9999-12", InvalidArgument), ("9998-01", NotFound)]
)
async def test_a_month_that_is_none_or_is_to_come_has_no_statement(
    billing: Billing, month: str, error: type[MeshError]
):
    with pytest.raises(error):
        await billing.edge.GetStatement(pb.GetStatementRequest(team_id=new_id(), month=month))


async def test_only_the_operator_sets_a_budget_for_nobody_or_terms(billing: Billing):
    with pytest.raises(InvalidArgument) as nobody:
        await billing.edge.SetBudget(pb.SetBudgetRequest(team_id=new_id()))
    with pytest.raises(PermissionDenied) as terms:
        await billing.edge.SetTerms(pb.SetTermsRequest(team_id=new_id()))
    assert (nobody.value.reason, terms.value.reason) == ("REQUESTER_MISSING", "CALLER_NOT_ALLOWED")


@pytest.mark.parametrize("micros", [-1, 10**15 + 1])
async def test_a_budget_that_cannot_be_is_refused(billing: Billing, micros: int):
    with pytest.raises(InvalidArgument) as refusal:
        await billing.operator.SetBudget(
            pb.SetBudgetRequest(team_id=new_id(), budget=Money(currency_code="USD", micros=micros))
        )
    assert refusal.value.reason == "AMOUNT_OUT_OF_RANGE"


async def test_an_unknown_plan_has_no_usage(billing: Billing):
    with pytest.raises(InvalidArgument) as refusal:
        await billing.usage(new_id(), "platinum")
    assert refusal.value.reason == "UNKNOWN_PLAN"
