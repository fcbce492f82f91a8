"""Plans: what a team gets each month and what it may do. The rows are data, in plans.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

PLANS_FILE = Path(__file__).with_name("plans.toml")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
PlanName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the published table."""

    plan: PlanName
    display_name: str
    requests_per_minute: Count
    """0 for no limit."""
    burst_count: Count
    """0 for no limit."""
    included_job_count: Count
    """Jobs that cost nothing, each calendar month (UTC)."""
    overage_allowed: bool
    """Whether jobs past the included ones are billed; else they are refused."""
    certificate_allowed: bool
    priority_allowed: bool


class Plans(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table of plans."""

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
