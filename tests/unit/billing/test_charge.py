import datetime as dt
from dataclasses import replace

import pytest

from mesh.config import load
from mesh.errors import InvalidArgument, PermissionDenied, ResourceExhausted
from services.billing.charge import Charge, Quota, charge, dollars
from services.billing.hold import ChargeKind, HoldRequest
from services.billing.period import Period
from services.billing.plan import PLANS_FILE, Plans

PLANS = load(PLANS_FILE, Plans)
NOW = dt.datetime(2026, 12, 31, 23, 59, 30, 1, tzinfo=dt.UTC)
REQUEST = HoldRequest("job", "team", plan="commercial", price=50_000_000)


def decide(request: HoldRequest, used: int, agreed: int | None = None) -> Charge:
    return charge(request, PLANS, Quota(NOW, dict.fromkeys(Period, used), agreed))


def test_an_included_job_costs_nothing():
    assert decide(REQUEST, 99) == Charge(0, ChargeKind.INCLUDED)


def test_a_job_past_the_included_ones_costs_the_list_price():
    assert decide(REQUEST, 100) == Charge(50_000_000, ChargeKind.PRICE)


def test_a_priority_job_costs_the_surcharge_too():
    assert decide(replace(REQUEST, priority=True), 100) == Charge(75_000_000, ChargeKind.PRICE, surcharge=25_000_000)


def test_an_included_job_may_be_a_priority_one():
    assert decide(replace(REQUEST, priority=True), 0) == Charge(0, ChargeKind.INCLUDED)


@pytest.mark.parametrize("plan", ["student", "academic"])
@pytest.mark.parametrize("billed", [True, False])
def test_a_plan_without_the_priority_queue_refuses_a_priority_job(plan: str, billed: bool):  # noqa: FBT001
    with pytest.raises(PermissionDenied) as refusal:
        decide(replace(REQUEST, plan=plan, priority=True, billed=billed), 0)
    assert refusal.value.reason == "PLAN_LACKS_PRIORITY"


def test_a_student_past_the_months_jobs_is_told_when_the_next_begin():
    student = replace(REQUEST, plan="student")
    assert decide(student, 4) == Charge(0, ChargeKind.INCLUDED)
    with pytest.raises(PermissionDenied, match="2027-01-01T00:00:00Z") as refusal:
        decide(student, 5)
    assert refusal.value.reason == "QUOTA_EXCEEDED"
    assert refusal.value.metadata == {"reset_time": "2027-01-01T00:00:00Z"}


def test_a_test_key_is_never_billed_nor_counted():
    test = replace(REQUEST, plan="student", billed=False)
    assert decide(test, 5) == Charge(0, ChargeKind.TEST)


def test_a_teams_own_terms_replace_the_plans_number():
    enterprise = replace(REQUEST, plan="enterprise")
    assert decide(enterprise, 0).kind is ChargeKind.PRICE
    assert decide(enterprise, 999, agreed=1000).kind is ChargeKind.INCLUDED
    assert decide(REQUEST, 0, agreed=0).kind is ChargeKind.PRICE


def test_a_maximum_is_met_to_the_micro_dollar():
    assert decide(replace(REQUEST, max_amount=50_000_000), 100).amount == 50_000_000
    with pytest.raises(InvalidArgument, match=r"\$50\.00, more than the maximum of \$49\.999999") as refusal:
        decide(replace(REQUEST, max_amount=49_999_999), 100)
    assert (refusal.value.reason, refusal.value.field) == ("MAX_COST_EXCEEDED", "max_cost_usd")


def test_the_maximum_is_compared_with_the_cost_and_not_with_the_list_price():
    assert decide(replace(REQUEST, max_amount=0), 0) == Charge(0, ChargeKind.INCLUDED)
    with pytest.raises(InvalidArgument):
        decide(replace(REQUEST, priority=True, max_amount=50_000_000), 100)


def test_an_unknown_plan_is_refused():
    with pytest.raises(InvalidArgument) as refusal:
        decide(replace(REQUEST, plan="platinum"), 0)
    assert refusal.value.reason == "UNKNOWN_PLAN"


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (50_000_000, "$50.00"),
        (125, "$0.000125"),
        (1_234_567_500_000, "$1,234,567.50"),
        (-10_000, "-$0.01"),
    ],
)
def test_dollars_show_cents_and_what_is_below(micros: int, text: str):
    assert dollars(micros) == text


def test_metered_use_costs_its_price_whatever_is_included():
    metered = replace(REQUEST, plan="student", metered=True)
    assert decide(metered, used=0) == decide(metered, used=99) == Charge(REQUEST.price, ChargeKind.PRICE)
    assert decide(replace(metered, billed=False), used=0).amount == 0


def test_jobs_of_a_day_are_included_until_midnight_and_then_refused():
    free = replace(REQUEST, plan="qcos_free")
    on_day = lambda used: Quota(NOW, {Period.MONTH: 300, Period.DAY: used})  # noqa: E731
    assert charge(free, PLANS, on_day(9)) == Charge(0, ChargeKind.INCLUDED)
    with pytest.raises(ResourceExhausted, match=r"10 jobs a day .* begins at 2027-01-01T00:00:00Z") as refusal:
        charge(free, PLANS, on_day(10))
    assert refusal.value.reason == "DAILY_LIMIT"
    assert refusal.value.metadata == {"reset_time": "2027-01-01T00:00:00Z", "retry_after_seconds": "30"}


def test_unlimited_jobs_are_all_included_unless_a_number_was_agreed():
    unlimited = replace(REQUEST, plan="qcos_enterprise")
    assert decide(unlimited, 10**9).kind is ChargeKind.INCLUDED
    with pytest.raises(ResourceExhausted):
        decide(unlimited, 10, agreed=10)


@pytest.mark.parametrize(
    ("plan", "size", "told"),
    [
        ("qcos_free", {"qubit_count": 21}, "at most 20 qubits; this one has 21"),
        ("qcos_free", {"shot_count": 1025}, "at most 1024 shots; this one has 1025"),
        ("qcos_professional", {"qubit_count": 51}, "at most 50 qubits"),
        ("qcos_professional", {"shot_count": 10001}, "at most 10000 shots"),
        ("qcos_enterprise", {"qubit_count": 128}, "at most 127 qubits"),
        ("qcos_enterprise", {"shot_count": 100001}, "at most 100000 shots"),
    ],
)
@pytest.mark.parametrize("billed", [True, False])
def test_a_job_past_the_size_of_a_tier_is_refused_with_any_key(
    plan: str,
    size: dict[str, int],
    told: str,
    billed: bool,  # noqa: FBT001
):
    [(member, count)] = size.items()
    with pytest.raises(PermissionDenied, match=told) as refusal:
        decide(replace(REQUEST, plan=plan, billed=billed, **size), 0)
    assert refusal.value.reason == "TIER_LIMIT"
    assert decide(replace(REQUEST, plan=plan, **{member: count - 1}), 0).amount == 0
    assert decide(replace(REQUEST, plan="student", **size), 0).amount == 0
