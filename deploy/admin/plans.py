"""Plans, as billing has them."""

from __future__ import annotations

import argparse

from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub

from deploy.admin.command import Command, Shown, Thing, argument
from deploy.admin.session import Session
from mesh.errors import NotFound


async def require_plan(session: Session, name: str) -> Thing:
    """A plan as it is shown; raises NotFound (PLAN_NOT_FOUND)."""
    plans = await _plans(session)
    for plan in plans:
        if plan["plan"] == name:
            return plan
    known = ", ".join(str(plan["plan"]) for plan in plans)
    raise NotFound(f"There is no plan {name!r}; there are {known}.", reason="PLAN_NOT_FOUND")


async def _plans(session: Session) -> list[Thing]:
    answer = await BillingServiceStub(session.channel("billing")).ListPlans(pb.ListPlansRequest())
    return [
        {
            "plan": plan.plan,
            "name": plan.display_name,
            "requests_per_minute": plan.requests_per_minute or "unlimited",
            "burst": plan.burst_count or "unlimited",
            "included_jobs": plan.included_job_count,
            "overage": plan.overage_allowed,
            "certificate": plan.certificate_allowed,
            "priority": plan.priority_allowed,
        }
        for plan in answer.plans
    ]


async def _list(session: Session, _given: argparse.Namespace) -> Shown:
    return await _plans(session)


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    return await require_plan(session, given.plan)


COMMANDS = (
    Command(group="plans", name="list", summary="list the plans", run=_list),
    Command(
        group="plans",
        name="show",
        summary="one plan",
        run=_show,
        arguments=(argument("plan", "its name"),),
        examples=("plans show commercial",),
    ),
)
