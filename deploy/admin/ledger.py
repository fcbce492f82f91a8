"""The ledger: whether its laws hold, and the money of one team."""

from __future__ import annotations

import argparse
import datetime as dt

from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub

from deploy.admin.command import TEAM, Command, Failed, Shown, argument
from deploy.admin.output import dollars, time
from deploy.admin.session import Session

_KINDS = {pb.CHARGE_KIND_PRICE: "billed", pb.CHARGE_KIND_INCLUDED: "included in the plan", pb.CHARGE_KIND_TEST: "test"}


async def _check(session: Session, _given: argparse.Namespace) -> Shown:
    laws = await BillingServiceStub(session.channel("billing")).CheckLedger(pb.CheckLedgerRequest(), timeout=30)
    shown = {
        "entries": laws.entry_count,
        "sum_usd": dollars(laws.sum),
        "open_holds": laws.open_hold_count,
        "held_usd": dollars(laws.open_hold_amount),
        "violations": [{"law": violation} for violation in laws.violations],
    }
    if laws.violations:
        raise Failed(shown, "the ledger breaks its laws: keep everything as it is, and find out which change did it")
    return shown


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.GetFundsRequest(team_id=given.team, page_size=given.limit)
    funds = await BillingServiceStub(session.channel("billing")).GetFunds(request)
    return {
        "team_id": given.team,
        "available_usd": dollars(funds.available),
        "held_usd": dollars(funds.held),
        "entries": [
            {
                "at": time(entry.create_time),
                "transfer": entry.transfer_id,
                "account": entry.account.rpartition("/")[2],
                "amount_usd": dollars(entry.amount),
            }
            for entry in funds.entries
        ],
    }


async def _statement(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.GetStatementRequest(team_id=given.team, month=given.month, page_size=given.limit)
    statement = await BillingServiceStub(session.channel("billing")).GetStatement(request)
    return {
        "team_id": given.team,
        "month": given.month,
        "final": statement.final,
        "owed_before_usd": dollars(statement.owed_before),
        "owed_after_usd": dollars(statement.owed_after),
        "jobs_not_billed": statement.released_count,
        "more_charges": statement.has_more,
        "lines": [
            {
                "count": line.job_count,
                "of": "entropy" if line.metered else "jobs",
                "why": _KINDS[line.charge_kind],
                "amount_usd": dollars(line.amount),
                "surcharge_usd": dollars(line.surcharge),
            }
            for line in statement.lines
        ],
        "charges": [
            {
                "at": time(charge.close_time),
                "id": charge.job_id,
                "item": charge.item,
                "why": _KINDS[charge.charge_kind],
                "amount_usd": dollars(charge.amount),
            }
            for charge in statement.charges
        ],
    }


def _month(text: str) -> str:
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).strftime("%Y-%m")
    except ValueError:
        message = f"{text!r} is no month: write it as 2026-11"
        raise argparse.ArgumentTypeError(message) from None


COMMANDS = (
    Command(
        group="ledger",
        name="check",
        summary="add up the whole ledger; exit status 1 where a law of it is broken",
        run=_check,
    ),
    Command(
        group="ledger",
        name="show",
        summary="what a team may spend, what is held, and its last ledger lines",
        run=_show,
        arguments=(TEAM, argument("--limit", "ledger lines at most (20)", type=int, default=20)),
    ),
    Command(
        group="ledger",
        name="statement",
        summary="what a team was charged in a month, added up and one by one",
        run=_statement,
        arguments=(
            TEAM,
            argument("month", "the month in UTC, as 2026-11", type=_month),
            argument("--limit", "charges at most, oldest first (20)", type=int, default=20),
        ),
        examples=("ledger statement 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f 2026-11",),
    ),
)
