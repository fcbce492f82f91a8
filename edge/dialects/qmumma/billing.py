"""A team's money over HTTP: its budget, its usage, its statements. Who may change what, billing decides."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET
from qm.billing.v1 import billing_pb2 as pb
from qm.type.v1.money_pb2 import Money

from edge.dialects.qmumma.audit_export import harmless
from edge.dialects.qmumma.billing_types import (
    MONTH_PATTERN,
    Budget,
    IncludedJobs,
    ListStatements,
    ReadStatement,
    SetBudget,
    Statement,
    StatementLine,
    StatementPage,
    StatementSummary,
    StatementTotal,
    Usage,
)
from edge.dialects.qmumma.ids import hold_id_of, job_id_of, shown_hold_id, shown_job_id
from edge.dialects.qmumma.rendering import moment
from edge.errors import Refusal
from edge.exchange import NO_STORE, Answer, Request, json_answer, prefers
from edge.money import Usd
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

CSV = b"text/csv"
COLUMNS = ("charged_at", "id", "type", "item", "reason", "amount_usd", "surcharge_usd", "held_at")
_CSV_PAGE = 1000
_MONTH = re.compile(MONTH_PATTERN.strip("^$"))


class Billing:
    """The operations on a team's money."""

    def __init__(self, billing: BillingServiceAsyncStub) -> None:
        """Call `billing`, which keeps the books."""
        self._billing = billing

    async def usage(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/billing/usage`."""
        told = await self._usage(request)
        budget = _budget(told.spending)
        return json_answer(
            Usage(
                month=budget.month,
                resets_at=budget.resets_at,
                plan=request.requester.plan,
                spent_usd=budget.spent_usd,
                held_usd=budget.held_usd,
                budget_usd=budget.budget_usd,
                remaining_usd=budget.remaining_usd,
                included_jobs=_included(told),
            )
        )

    async def budget(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/billing/budget`."""
        return json_answer(_budget((await self._usage(request)).spending))

    async def set_budget(self, request: Request[SetBudget, Nothing]) -> Answer:
        """Answer `PUT /v1/billing/budget`."""
        budget = Money(currency_code="USD", micros=request.body.budget_usd.micros)
        wish = pb.SetBudgetRequest(team_id=request.requester.team_id, requester=request.requester, budget=budget)
        return json_answer(_budget((await self._billing.SetBudget(wish)).spending))

    async def remove_budget(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `DELETE /v1/billing/budget`."""
        wish = pb.SetBudgetRequest(team_id=request.requester.team_id, requester=request.requester)
        await self._billing.SetBudget(wish)
        return Answer(204)

    async def statements(self, request: Request[Nothing, ListStatements]) -> Answer:
        """Answer `GET /v1/billing/statements`."""
        page = await self._billing.ListStatements(
            pb.ListStatementsRequest(
                team_id=request.requester.team_id,
                page_size=request.query.limit,
                after_month=request.query.after or "",
            )
        )
        return json_answer(
            StatementPage(statements=[_summary(each) for each in page.statements], has_more=page.has_more)
        )

    async def statement(self, request: Request[Nothing, ReadStatement]) -> Answer:
        """Answer `GET /v1/billing/statements/{month}`."""
        month = request.path["month"]
        if not _MONTH.fullmatch(month):
            message = "There is no such statement. Months are written like 2026-11."
            raise Refusal(404, message, param="month", reason="STATEMENT_NOT_FOUND")
        as_csv = prefers(request.headers.get(b"accept", b""), CSV)
        wish = pb.GetStatementRequest(
            team_id=request.requester.team_id,
            month=month,
            page_size=_CSV_PAGE if as_csv else request.query.limit,
            after_job_id=_line_behind(request.query.after or ""),
        )
        page = await self._billing.GetStatement(wish)
        if not as_csv:
            return json_answer(_statement(month, page))
        name = f'attachment; filename="statement-{month}.csv"'.encode()
        return Answer(200, self._rows(wish, page), CSV + b"; charset=utf-8", [NO_STORE, (b"content-disposition", name)])

    async def _rows(self, wish: pb.GetStatementRequest, page: pb.GetStatementResponse) -> AsyncIterator[bytes]:
        """All lines from a page on, as CSV."""
        yield _csv([COLUMNS])
        while page.charges:
            yield _csv([_cells(_line(charge)) for charge in page.charges])
            if not page.has_more:
                return
            wish.after_job_id = page.charges[-1].job_id
            page = await self._billing.GetStatement(wish)

    async def _usage(self, request: Request[Any, Any]) -> pb.GetUsageResponse:
        asker = request.requester
        return await self._billing.GetUsage(pb.GetUsageRequest(team_id=asker.team_id, plan=asker.plan))


def _line_behind(shown: str) -> str:
    if not shown:
        return ""
    known = job_id_of(shown) or hold_id_of(shown)
    if known is None:  # the pattern of the query has seen to that
        raise Refusal(404, "after: the statement has no such line.", param="after", reason="CHARGE_NOT_FOUND")
    return known


def _budget(spending: pb.Spending) -> Budget:
    spent, held, budget = spending.spent.micros, spending.held.micros, spending.budget.micros
    bounded = spending.HasField("budget")
    return Budget(
        month=spending.month,
        resets_at=moment(spending.end_time),
        budget_usd=Usd(budget) if bounded else UNSET,
        spent_usd=Usd(spent),
        held_usd=Usd(held),
        remaining_usd=Usd(max(0, budget - spent - held)) if bounded else UNSET,
    )


def _included(told: pb.GetUsageResponse) -> IncludedJobs:
    bounded = not told.plan.included_unlimited
    total, used = told.included_job_count, told.used_job_count
    return IncludedJobs(
        per="day" if told.plan.included_per == pb.PERIOD_DAY else "month",
        total=total if bounded else UNSET,
        used=used,
        left=max(0, total - used) if bounded else UNSET,
        resets_at=moment(told.included_end_time),
        then="billed" if told.plan.overage_allowed else "refused",
    )


def _status(*, final: bool) -> Literal["open", "final"]:
    return "final" if final else "open"


def _summary(month: pb.StatementSummary) -> StatementSummary:
    return StatementSummary(
        month=month.month,
        status=_status(final=month.final),
        charged_usd=Usd(month.charged.micros),
        line_count=month.charge_count,
    )


def _statement(month: str, page: pb.GetStatementResponse) -> Statement:
    opening, closing = page.owed_before.micros, page.owed_after.micros
    return Statement(
        month=month,
        status=_status(final=page.final),
        opening_usd=Usd(opening),
        charged_usd=Usd(closing - opening),
        closing_usd=Usd(closing),
        totals=[_total(line) for line in page.lines if line.charge_kind != pb.CHARGE_KIND_TEST],
        test_count=sum(line.job_count for line in page.lines if line.charge_kind == pb.CHARGE_KIND_TEST),
        not_billed_count=page.released_count,
        lines=[_line(charge) for charge in page.charges],
        has_more=page.has_more,
    )


def _total(line: pb.StatementLine) -> StatementTotal:
    return StatementTotal(
        type="entropy" if line.metered else "job",
        reason="included" if line.charge_kind == pb.CHARGE_KIND_INCLUDED else "price",
        count=line.job_count,
        amount_usd=Usd(line.amount.micros),
        surcharge_usd=Usd(line.surcharge.micros),
    )


def _line(charge: pb.Hold) -> StatementLine:
    return StatementLine(
        id=shown_hold_id(charge.job_id) if charge.metered else shown_job_id(charge.job_id),
        type="entropy" if charge.metered else "job",
        item=charge.item,
        reason="included" if charge.charge_kind == pb.CHARGE_KIND_INCLUDED else "price",
        amount_usd=Usd(charge.amount.micros),
        surcharge_usd=Usd(charge.surcharge.micros),
        held_at=moment(charge.create_time),
        charged_at=moment(charge.close_time),
    )


def _cells(line: StatementLine) -> tuple[str, ...]:
    return (
        _time(line.charged_at),
        line.id,
        line.type,
        harmless(line.item),
        line.reason,
        str(line.amount_usd.decimal()),
        str(line.surcharge_usd.decimal()),
        _time(line.held_at),
    )


def _time(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()
