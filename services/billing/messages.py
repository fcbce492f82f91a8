"""Billing's nouns as protobuf messages, and requests as nouns."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from qm.billing.v1 import billing_pb2 as pb
from qm.type.v1 import requester_pb2
from qm.type.v1.money_pb2 import Money

from mesh.errors import InvalidArgument
from mesh.timestamps import timestamp
from services.billing.budget import Spending
from services.billing.hold import Hold, HoldRequest, JobId, TeamId
from services.billing.ledger import Entry
from services.billing.plan import Plan
from services.billing.statement import Month, Statement

CURRENCY = "USD"
_MOST_MICROS = 10**15  # a billion dollars: sums of many stay within 64 bits


def job_id_of(text: str) -> JobId:
    """A job id in its canonical spelling."""
    return JobId(str(UUID(text)))


def team_id_of(text: str) -> TeamId:
    """A team id in its canonical spelling."""
    return TeamId(str(UUID(text)))


def micros_of(amount: Money, field: str) -> int:
    """An amount in micro-dollars.

    Raises InvalidArgument for another currency (UNSUPPORTED_CURRENCY), and for an amount below zero or above a billion
    dollars (AMOUNT_OUT_OF_RANGE).
    """
    if amount.currency_code != CURRENCY:
        message = f"{field}: the books are kept in USD, not in {amount.currency_code!r}."
        raise InvalidArgument(message, reason="UNSUPPORTED_CURRENCY", field=field)
    if not 0 <= amount.micros <= _MOST_MICROS:
        message = f"{field}: an amount must be 0 to {_MOST_MICROS} micro-dollars."
        raise InvalidArgument(message, reason="AMOUNT_OUT_OF_RANGE", field=field)
    return amount.micros


def hold_request(request: pb.HoldFundsRequest) -> HoldRequest:
    """The wish in a HoldFunds request; raises what `micros_of` raises."""
    return HoldRequest(
        job_id=job_id_of(request.job_id),
        team_id=team_id_of(request.requester.team_id),
        plan=request.requester.plan,
        price=micros_of(request.price, "price"),
        billed=request.requester.environment != requester_pb2.ENVIRONMENT_TEST,
        priority=request.priority,
        max_amount=micros_of(request.max_amount, "max_amount") if request.HasField("max_amount") else None,
        metered=request.metered,
        item=request.item,
        qubit_count=request.qubit_count,
        shot_count=request.shot_count,
    )


def price_request(request: pb.PriceJobRequest) -> HoldRequest:
    """The wish that a PriceJob request is about; of no job. Raises what `micros_of` raises."""
    asked = pb.HoldFundsRequest(
        job_id=str(UUID(int=0)),
        requester=request.requester,
        price=request.price,
        priority=request.priority,
        qubit_count=request.qubit_count,
        shot_count=request.shot_count,
    )
    if request.HasField("max_amount"):
        asked.max_amount.CopyFrom(request.max_amount)
    return hold_request(asked)


def money(micros: int) -> Money:
    """An amount of micro-dollars."""
    return Money(currency_code=CURRENCY, micros=micros)


def hold_message(hold: Hold) -> pb.Hold:
    """A hold on the wire."""
    return pb.Hold(
        job_id=hold.job_id,
        team_id=hold.team_id,
        amount=money(hold.amount),
        charge_kind=pb.ChargeKind.ValueType(hold.charge_kind),
        state=pb.HoldState.ValueType(hold.state),
        create_time=timestamp(hold.create_time),
        close_time=timestamp(hold.close_time) if hold.close_time else None,
        item=hold.item,
        metered=hold.metered,
        surcharge=money(hold.surcharge),
    )


def entry_message(entry: Entry) -> pb.Entry:
    """A ledger line on the wire."""
    return pb.Entry(
        transfer_id=entry.transfer_id,
        account=entry.account,
        amount=money(entry.amount),
        create_time=timestamp(entry.create_time),
    )


def plan_message(plan: Plan) -> pb.Plan:
    """A plan on the wire."""
    return pb.Plan(
        plan=plan.plan,
        display_name=plan.display_name,
        requests_per_minute=plan.requests_per_minute,
        burst_count=plan.burst_count,
        included_job_count=plan.included(None) or 0,
        included_unlimited=plan.included(None) is None,
        included_per=pb.Period.ValueType(plan.period),
        overage_allowed=plan.overage_allowed,
        certificate_allowed=plan.certificate_allowed,
        priority_allowed=plan.priority_allowed,
        max_qubit_count=plan.max_qubit_count,
        max_shot_count=plan.max_shot_count,
        max_run_seconds=plan.max_run_seconds,
        price_eur="" if plan.price_eur is None else str(plan.price_eur),
        dialect=plan.dialect,
    )


def spending_message(spending: Spending) -> pb.Spending:
    """A team's money in a month on the wire."""
    return pb.Spending(
        month=spending.month,
        end_time=timestamp(spending.end_time),
        spent=money(spending.spent),
        held=money(spending.held),
        budget=None if spending.budget is None else money(spending.budget),
    )


def month_message(month: Month, now: dt.datetime) -> pb.StatementSummary:
    """A month of a team on the wire."""
    return pb.StatementSummary(
        month=month.name,
        charged=money(month.charged),
        charge_count=month.charge_count,
        final=month.is_final(now),
    )


def statement_message(statement: Statement, *, final: bool) -> pb.GetStatementResponse:
    """A statement on the wire."""
    return pb.GetStatementResponse(
        owed_before=money(statement.owed_before),
        lines=[
            pb.StatementLine(
                charge_kind=pb.ChargeKind.ValueType(line.charge_kind),
                metered=line.metered,
                job_count=line.job_count,
                amount=money(line.amount),
                surcharge=money(line.surcharge),
            )
            for line in statement.lines
        ],
        released_count=statement.released_count,
        owed_after=money(statement.owed_after),
        charges=map(hold_message, statement.charges),
        has_more=statement.has_more,
        final=final,
    )
