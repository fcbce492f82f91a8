"""Plans: what a team gets in each period and what it may do. The rows are data, in plans.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.billing.period import Period

PLANS_FILE = Path(__file__).with_name("plans.toml")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
PlanName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
_PERIODS = {"month": Period.MONTH, "day": Period.DAY}


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a published table."""

    plan: PlanName
    display_name: str
    dialect: Literal["qmumma", "qcos"] = "qmumma"
    """Whose table it is a row of."""
    requests_per_minute: Count
    """0 for no limit."""
    burst_count: Count
    """0 for no limit."""
    included_job_count: Count | Literal["unlimited"]
    """Jobs that cost nothing, in each calendar month or day (UTC)."""
    included_per: Literal["month", "day"] = "month"
    overage_allowed: bool
    """Whether jobs past the included ones are billed; else they are refused."""
    certificate_allowed: bool
    priority_allowed: bool
    max_qubit_count: Count = 0
    """Qubits of a program at most; 0 for no limit."""
    max_shot_count: Count = 0
    """Shots of a job at most; 0 for no limit."""
    max_run_seconds: Count = 0
    """How long a job may run; 0 for what the operator allows to any (`run_seconds` of execution)."""
    price_eur: Count | Literal["custom"] | None = None
    """The published price of a month; nothing charges it. None where the table has no such column."""

    @property
    def period(self) -> Period:
        """For how long the included jobs are."""
        return _PERIODS[self.included_per]

    def included(self, agreed: int | None) -> int | None:
        """How many jobs are included in a period, where `agreed` is what was agreed with the team; None for all."""
        if agreed is not None:
            return agreed
        return None if self.included_job_count == "unlimited" else self.included_job_count


class Plans(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tables of plans."""

    plans: Annotated[tuple[Plan, ...], msgspec.Meta(min_length=1)]
    priority_surcharge_percent: Annotated[int, msgspec.Meta(ge=0, le=1000)]

    def __post_init__(self) -> None:
        """Refuse a table that names a plan twice."""
        names = [plan.plan for plan in self.plans]
        if twice := {name for name in names if names.count(name) > 1}:
            message = f"plans are named twice: {', '.join(sorted(twice))}"
            raise ValueError(message)

    def find(self, name: str) -> Plan | None:
        """The plan of that name."""
        return next((plan for plan in self.plans if plan.plan == name), None)

    def surcharge(self, price: int) -> int:
        """What the priority queue adds to a price, both in micro-dollars."""
        return -(-price * self.priority_surcharge_percent // 100)
