"""What a job costs a team: price, plan, quota and surcharge in one decision."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.errors import InvalidArgument, PermissionDenied
from services.billing.hold import ChargeKind, HoldRequest, Month, next_month
from services.billing.plan import Plan, Plans

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount in micro-dollars, and why it is that."""

    amount: int
    kind: ChargeKind


@dataclass(frozen=True, slots=True)
class Quota:
    """How far a team is with the included jobs of one month."""

    month: Month
    used_count: int
    agreed_count: int | None = None
    """Included jobs a month by the team's own terms; None where the plan's number counts."""


def charge(request: HoldRequest, plans: Plans, quota: Quota) -> Charge:
    """What the job costs.

    Raises InvalidArgument for an unknown plan (UNKNOWN_PLAN) and for a cost above the caller's maximum
    (MAX_COST_EXCEEDED), PermissionDenied where the plan has no priority queue (PLAN_LACKS_PRIORITY) or no job left
    this month (QUOTA_EXCEEDED).
    """
    plan = _plan(request, plans)
    if request.priority and not plan.priority_allowed:
        message = f"The plan {plan.display_name} has no priority queue."
        raise PermissionDenied(message, reason="PLAN_LACKS_PRIORITY", field="priority")
    if not request.billed:
        return Charge(0, ChargeKind.TEST)
    if request.metered:
        return _priced(request, request.price)
    included = plan.included_job_count if quota.agreed_count is None else quota.agreed_count
    if quota.used_count < included:
        return Charge(0, ChargeKind.INCLUDED)
    if not plan.overage_allowed:
        raise _quota_exceeded(plan, included, quota.month)
    return _priced(request, request.price + (plans.surcharge(request.price) if request.priority else 0))


def _priced(request: HoldRequest, amount: int) -> Charge:
    if request.max_amount is not None and amount > request.max_amount:
        raise _too_dear(amount, request.max_amount)
    return Charge(amount, ChargeKind.PRICE)


def dollars(micros: int) -> str:
    """An amount for people: cents at least, and as many more digits as it has ("$0.50", "$0.000125")."""
    whole, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}"
    shown = digits[:2] + digits[2:].rstrip("0")
    return f"{'-' if micros < 0 else ''}${whole:,}.{shown}"


def _plan(request: HoldRequest, plans: Plans) -> Plan:
    plan = plans.find(request.plan)
    if plan is None:
        message = f"There is no plan {request.plan!r}."
        raise InvalidArgument(message, reason="UNKNOWN_PLAN", field="requester.plan")
    return plan


def _quota_exceeded(plan: Plan, included: int, month: Month) -> PermissionDenied:
    reset = f"{next_month(month).isoformat()}T00:00:00Z"
    message = (
        f"The plan {plan.display_name} includes {included} jobs a month and all of them are used; "
        f"the next month begins at {reset}."
    )
    return PermissionDenied(message, reason="QUOTA_EXCEEDED", metadata={"reset_time": reset})


def _too_dear(amount: int, maximum: int) -> InvalidArgument:
    message = f"The job costs {dollars(amount)}, more than the maximum of {dollars(maximum)} that you set."
    metadata = {"cost_micros": str(amount), "max_micros": str(maximum)}
    return InvalidArgument(message, reason="MAX_COST_EXCEEDED", field="max_cost_usd", metadata=metadata)
