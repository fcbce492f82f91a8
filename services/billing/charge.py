"""What a job costs a team: price, plan, quota and surcharge in one decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.errors import InvalidArgument, MeshError, PermissionDenied, ResourceExhausted
from services.billing.hold import ChargeKind, HoldRequest
from services.billing.period import Period, end_of, rfc3339
from services.billing.plan import Plan, Plans

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount in micro-dollars, and why it is that."""

    amount: int
    kind: ChargeKind
    surcharge: int = 0
    """The part of the amount that the priority queue costs."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How far a team is with its included jobs."""

    now: dt.datetime
    used_counts: Mapping[Period, int]
    """Included jobs used in the month and on the day of `now`."""
    agreed_count: int | None = None
    """Included jobs in a period by the team's own terms; None where the plan's number counts."""


def charge(request: HoldRequest, plans: Plans, quota: Quota) -> Charge:
    """What the job costs.

    Raises InvalidArgument for an unknown plan (UNKNOWN_PLAN) and for a cost above the caller's maximum
    (MAX_COST_EXCEEDED); PermissionDenied where the plan has no priority queue (PLAN_LACKS_PRIORITY), no program of that
    size (TIER_LIMIT) or no job left this month (QUOTA_EXCEEDED); ResourceExhausted where it has none left today
    (DAILY_LIMIT).
    """
    plan = _plan(request, plans)
    if request.priority and not plan.priority_allowed:
        message = f"The plan {plan.display_name} has no priority queue."
        raise PermissionDenied(message, reason="PLAN_LACKS_PRIORITY", field="priority")
    _require_size(plan, request)
    if not request.billed:
        return Charge(0, ChargeKind.TEST)
    if request.metered:
        return _priced(request, surcharge=0)
    included = plan.included(quota.agreed_count)
    if included is None or quota.used_counts.get(plan.period, 0) < included:
        return Charge(0, ChargeKind.INCLUDED)
    if not plan.overage_allowed:
        raise _quota_exceeded(plan, included, quota.now)
    return _priced(request, surcharge=plans.surcharge(request.price) if request.priority else 0)


def _priced(request: HoldRequest, *, surcharge: int) -> Charge:
    amount = request.price + surcharge
    if request.max_amount is not None and amount > request.max_amount:
        raise _too_dear(amount, request.max_amount)
    return Charge(amount, ChargeKind.PRICE, surcharge)


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


def _require_size(plan: Plan, request: HoldRequest) -> None:
    for found, most, what, field in (
        (request.qubit_count, plan.max_qubit_count, "qubits", ""),
        (request.shot_count, plan.max_shot_count, "shots", "shot_count"),
    ):
        if most and found > most:
            message = f"The plan {plan.display_name} runs jobs of at most {most} {what}; this one has {found}."
            raise PermissionDenied(message, reason="TIER_LIMIT", field=field)


def _quota_exceeded(plan: Plan, included: int, now: dt.datetime) -> MeshError:
    end = end_of(plan.period, now)
    message = (
        f"The plan {plan.display_name} includes {included} jobs a {plan.included_per} and all of them are used; "
        f"the next {plan.included_per} begins at {rfc3339(end)}."
    )
    metadata = {"reset_time": rfc3339(end)}
    if plan.period is Period.MONTH:
        return PermissionDenied(message, reason="QUOTA_EXCEEDED", metadata=metadata)
    metadata["retry_after_seconds"] = str(-((now - end) // dt.timedelta(seconds=1)))
    return ResourceExhausted(message, reason="DAILY_LIMIT", metadata=metadata)


def _too_dear(amount: int, maximum: int) -> InvalidArgument:
    message = f"The job costs {dollars(amount)}, more than the maximum of {dollars(maximum)} that you set."
    metadata = {"cost_micros": str(amount), "max_micros": str(maximum)}
    return InvalidArgument(message, reason="MAX_COST_EXCEEDED", field="max_cost_usd", metadata=metadata)
