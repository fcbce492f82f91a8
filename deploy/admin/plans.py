"""Plans, as billing has them."""

from __future__ import annotations

import argparse

from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub

from deploy.admin.budgets import usage
from deploy.admin.command import TEAM, Command, Shown, Thing, argument
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
            "included_jobs": "unlimited" if plan.included_unlimited else plan.included_job_count,
            "per": "day" if plan.included_per == pb.PERIOD_DAY else "month",
            "overage": plan.overage_allowed,
            "certificate": plan.certificate_allowed,
            "priority": plan.priority_allowed,
            "max_qubits": plan.max_qubit_count or "unlimited",
            "max_shots": plan.max_shot_count or "unlimited",
            "price_eur": plan.price_eur or None,
            "dialect": plan.dialect,
        }
        for plan in answer.plans
    ]


async def _list(session: Session, _given: argparse.Namespace) -> Shown:
    return await _plans(session)


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    return await require_plan(session, given.plan)


async def _set_terms(session: Session, given: argparse.Namespace) -> Shown:
    count = None if given.included_jobs == _PLAN else int(given.included_jobs)
    await usage(session, given.team)
    request = pb.SetTermsRequest(team_id=given.team, included_job_count=count)
    await BillingServiceStub(session.channel("billing")).SetTerms(request)
    return await usage(session, given.team)


def _included(text: str) -> str:
    if text == _PLAN or (text.isascii() and text.isdecimal() and int(text) < _MOST_JOBS):
        return text
    message = f"{text!r} is no number of jobs: give 0 to {_MOST_JOBS - 1}, or 'plan' for the plan's own"
    raise argparse.ArgumentTypeError(message)


_PLAN = "plan"
_MOST_JOBS = 2**31
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
    Command(
        group="plans",
        name="set-terms",
        summary="agree on a number of included jobs with a team; `teams set-plan` gives it another plan",
        run=_set_terms,
        arguments=(
            TEAM,
            argument(
                "--included-jobs",
                "in each month or day of the plan; 'plan' for the plan's own number",
                type=_included,
                required=True,
                metavar="COUNT",
            ),
        ),
        examples=("plans set-terms 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f --included-jobs 5000",),
    ),
)
