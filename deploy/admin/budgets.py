"""Budgets of teams, and how far each team is this month."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation

from qm.accounts.v1 import teams_pb2
from qm.accounts.v1.teams_pb2_grpc import TeamsServiceStub
from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.type.v1.money_pb2 import Money

from deploy.admin.command import TEAM, Command, Shown, Thing, argument
from deploy.admin.output import dollars, time
from deploy.admin.session import Session

_MOST_USD = 10**9
_MICROS = 10**6


async def usage(session: Session, team_id: str) -> Thing:
    """How far a team is this month, as it is shown."""
    team = (await TeamsServiceStub(session.channel("accounts")).GetTeam(teams_pb2.GetTeamRequest(team_id=team_id))).team
    request = pb.GetUsageRequest(team_id=team_id, plan=team.plan)
    told = await BillingServiceStub(session.channel("billing")).GetUsage(request)
    return {
        "team_id": team_id,
        "plan": team.plan,
        **_spending(told.spending),
        "included_jobs": "unlimited" if told.plan.included_unlimited else told.included_job_count,
        "included_agreed": told.agreed,
        "included_used": told.used_job_count,
        "included_until": time(told.included_end_time),
    }


def amount(text: str) -> int:
    """An amount in micro-dollars; raises ArgumentTypeError where it is none that can be kept exactly."""
    try:
        micros = Decimal(text) * _MICROS
        if 0 <= micros <= _MOST_USD * _MICROS and micros == int(micros):
            return int(micros)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    message = f"{text!r} is no amount: give dollars, 0 to {_MOST_USD}, with at most 6 decimals"
    raise argparse.ArgumentTypeError(message)


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    return await usage(session, given.team)


async def _set(session: Session, given: argparse.Namespace) -> Shown:
    return await _change(session, given.team, Money(currency_code="USD", micros=given.amount))


async def _remove(session: Session, given: argparse.Namespace) -> Shown:
    return await _change(session, given.team, None)


async def _change(session: Session, team_id: str, budget: Money | None) -> Shown:
    # A team that does not exist has no budget: accounts knows.
    await TeamsServiceStub(session.channel("accounts")).GetTeam(teams_pb2.GetTeamRequest(team_id=team_id))
    request = pb.SetBudgetRequest(team_id=team_id, budget=budget)
    answer = await BillingServiceStub(session.channel("billing")).SetBudget(request)
    return {"team_id": team_id, **_spending(answer.spending)}


def _spending(spending: pb.Spending) -> Thing:
    spent, held, budget = spending.spent.micros, spending.held.micros, spending.budget.micros
    bounded = spending.HasField("budget")
    return {
        "month": spending.month,
        "budget_usd": dollars(budget) if bounded else None,
        "spent_usd": dollars(spent),
        "held_usd": dollars(held),
        "remaining_usd": dollars(max(0, budget - spent - held)) if bounded else None,
    }


COMMANDS = (
    Command(
        group="budgets",
        name="show",
        summary="a team's budget, what it has spent and holds this month, and its included jobs",
        run=_show,
        arguments=(TEAM,),
    ),
    Command(
        group="budgets",
        name="set",
        summary="set the most that a team may be charged in a month; past it everything that costs is refused",
        run=_set,
        arguments=(TEAM, argument("amount", "US dollars a month, such as 500 or 0.10", type=amount)),
        examples=("budgets set 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f 500",),
    ),
    Command(
        group="budgets",
        name="remove",
        summary="let a team be charged without a bound",
        run=_remove,
        arguments=(TEAM,),
        question="Remove the budget of the team {team}?",
    ),
)
