"""The RPCs of billing: check, decide, answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from qm.billing.v1 import billing_pb2 as pb

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound
from mesh.events import Message
from mesh.timestamps import timestamp
from services.billing.asking import Actor, Members
from services.billing.audit import violations
from services.billing.charge import dollars
from services.billing.hold import Hold, HoldRequest, ReleaseRequest, SettleRequest
from services.billing.ledger import available, held
from services.billing.messages import (
    entry_message,
    hold_message,
    hold_request,
    job_id_of,
    micros_of,
    money,
    month_message,
    plan_message,
    price_request,
    spending_message,
    statement_message,
    team_id_of,
)
from services.billing.period import end_of, month_bounds
from services.billing.plan import Plans
from services.billing.statement import Page
from services.billing.store import LedgerStore
from services.billing.team_store import TeamStore
from services.billing.writer import LedgerWriter

_MOST_SECONDS = 10 * 366 * 86_400  # ten years


class BillingService:
    """Answers qm.billing.v1.BillingService."""

    def __init__(
        self,
        store: LedgerStore,
        teams: TeamStore,
        writer: LedgerWriter,
        *,
        members: Members,
        plans: Plans,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Read from the stores, write holds through `writer`; `clock` tells the time in UTC."""
        self._store = store
        self._teams = teams
        self._members = members
        self._writer = writer
        self._plans = plans
        self._clock = clock

    async def HoldFunds(self, request: pb.HoldFundsRequest, _call: Call) -> pb.HoldFundsResponse:
        """Reserve the price of a job; a repeat returns the same hold. Raises what `Book.hold` raises."""
        hold = await self._write(hold_request(request))
        return pb.HoldFundsResponse(hold=hold_message(hold))

    async def PriceJob(self, request: pb.PriceJobRequest, _call: Call) -> pb.PriceJobResponse:
        """Say what a job would cost now. Raises what `Book.due` raises."""
        wish = price_request(request)
        due = await self._store.keep_book(self._plans, [wish], self._clock(), lambda book: book.due(wish))
        return pb.PriceJobResponse(amount=money(due.amount), charge_kind=pb.ChargeKind.ValueType(due.kind))

    async def SettleHold(self, request: pb.SettleHoldRequest, _call: Call) -> pb.SettleHoldResponse:
        """Charge what was held. Raises what `Book.settle` raises."""
        hold = await self._write(SettleRequest(job_id_of(request.job_id)))
        return pb.SettleHoldResponse(hold=hold_message(hold))

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, _call: Call) -> pb.ReleaseHoldResponse:
        """Give back what was held; no hold is no error. Raises what `Book.release` raises."""
        hold = await self._writer.apply(ReleaseRequest(job_id_of(request.job_id)))
        return pb.ReleaseHoldResponse(hold=hold_message(hold) if hold else None)

    async def GetHold(self, request: pb.GetHoldRequest, _call: Call) -> pb.GetHoldResponse:
        """Tell a job's money. Raises NotFound (HOLD_NOT_FOUND), also for another team's job."""
        found = await self._store.find_hold(team_id_of(request.team_id), job_id_of(request.job_id))
        if found is None:
            message = f"There is no hold for the job {request.job_id}."
            raise NotFound(message, reason="HOLD_NOT_FOUND", field="job_id")
        hold, entries = found
        return pb.GetHoldResponse(hold=hold_message(hold), entries=map(entry_message, entries))

    async def ListOpenHolds(self, request: pb.ListOpenHoldsRequest, _call: Call) -> pb.ListOpenHoldsResponse:
        """List holds that have been open for at least an age, oldest first."""
        if not 0 <= request.min_age.seconds <= _MOST_SECONDS:
            message = f"min_age: an age must be 0 to {_MOST_SECONDS} seconds."
            raise InvalidArgument(message, reason="AGE_OUT_OF_RANGE", field="min_age")
        made_until = self._clock() - request.min_age.ToTimedelta()
        holds = await self._store.open_holds(made_until, request.page_size)
        return pb.ListOpenHoldsResponse(holds=map(hold_message, holds))

    async def CheckLedger(self, _request: pb.CheckLedgerRequest, _call: Call) -> pb.CheckLedgerResponse:
        """Add up the ledger and name every law that it breaks."""
        sums = await self._store.add_up()
        return pb.CheckLedgerResponse(
            sum=money(sums.sum),
            open_hold_count=sums.open_hold_count,
            open_hold_amount=money(sums.open_hold_amount),
            entry_count=sums.entry_count,
            violations=violations(sums),
        )

    async def GetFunds(self, request: pb.GetFundsRequest, _call: Call) -> pb.GetFundsResponse:
        """Tell a team's money; nothing for a team that was never charged."""
        team_id = team_id_of(request.team_id)
        balances, entries = await self._teams.funds(team_id, request.page_size)
        return pb.GetFundsResponse(
            available=money(balances.get(available(team_id), 0)),
            held=money(balances.get(held(team_id), 0)),
            entries=map(entry_message, entries),
        )

    async def GetStatement(self, request: pb.GetStatementRequest, _call: Call) -> pb.GetStatementResponse:
        """Tell a team's month. Raises InvalidArgument (MONTH_OUT_OF_RANGE), and NotFound (STATEMENT_NOT_FOUND)."""
        try:
            start, end = month_bounds(request.month)
        except (ValueError, OverflowError):
            message = "month: the years 1 to 9999 can be told."
            raise InvalidArgument(message, reason="MONTH_OUT_OF_RANGE", field="month") from None
        now = self._clock()
        if start > now:
            message = f"There is no statement of {request.month} yet."
            raise NotFound(message, reason="STATEMENT_NOT_FOUND", field="month")
        page = Page(request.page_size, job_id_of(request.after_job_id) if request.after_job_id else None)
        statement = await self._teams.statement(team_id_of(request.team_id), start, end, page)
        return statement_message(statement, final=end <= now)

    async def ListStatements(self, request: pb.ListStatementsRequest, _call: Call) -> pb.ListStatementsResponse:
        """List the months in which a team was charged, newest first."""
        team_id, now = team_id_of(request.team_id), self._clock()
        months, has_more = await self._teams.months(team_id, request.after_month or None, request.page_size)
        return pb.ListStatementsResponse(statements=[month_message(month, now) for month in months], has_more=has_more)

    async def GetUsage(self, request: pb.GetUsageRequest, _call: Call) -> pb.GetUsageResponse:
        """Tell how far a team is this month. Raises InvalidArgument (UNKNOWN_PLAN)."""
        plan, now = self._plans.find(request.plan), self._clock()
        if plan is None:
            message = f"There is no plan {request.plan!r}."
            raise InvalidArgument(message, reason="UNKNOWN_PLAN", field="plan")
        usage = await self._teams.usage(team_id_of(request.team_id), now)
        included = plan.included(usage.agreed_count)
        told = plan_message(plan)
        told.included_unlimited = included is None
        return pb.GetUsageResponse(
            spending=spending_message(usage.spending),
            plan=told,
            included_job_count=included or 0,
            used_job_count=usage.used[plan.period],
            included_end_time=timestamp(end_of(plan.period, now)),
            agreed=usage.agreed_count is not None,
        )

    async def SetBudget(self, request: pb.SetBudgetRequest, call: Call) -> pb.SetBudgetResponse:
        """Set or remove a team's budget; the last of two requests wins.

        Raises what `Members.actor` raises, and InvalidArgument (UNSUPPORTED_CURRENCY, AMOUNT_OUT_OF_RANGE).
        """
        budget = micros_of(request.budget, "budget") if request.HasField("budget") else None
        team_id, now = team_id_of(request.team_id), self._clock()
        actor = await self._members.actor(request, call)

        def note(before: int | None) -> Message:
            action = "budget.removed" if budget is None else "budget.set"
            return actor.note(action, now, before=_told(before), after=_told(budget))

        spending = await self._teams.set_budget(team_id, budget, now, note)
        return pb.SetBudgetResponse(spending=spending_message(spending))

    async def SetTerms(self, request: pb.SetTermsRequest, _call: Call) -> pb.SetTermsResponse:
        """Set or remove the number of included jobs that was agreed with a team."""
        count = request.included_job_count if request.HasField("included_job_count") else None
        team_id, now = team_id_of(request.team_id), self._clock()

        def note(before: int | None) -> Message:
            numbers = {"before": before, "after": count}
            told = {f"included_jobs_{when}": "plan" if it is None else str(it) for when, it in numbers.items()}
            return Actor(team_id).note("terms.set", now, **told)

        await self._teams.set_agreed(team_id, count, now, note)
        return pb.SetTermsResponse()

    async def ListPlans(self, _request: pb.ListPlansRequest, _call: Call) -> pb.ListPlansResponse:
        """List the plans in the order of the table."""
        return pb.ListPlansResponse(plans=map(plan_message, self._plans.plans))

    async def _write(self, operation: HoldRequest | SettleRequest) -> Hold:
        hold = await self._writer.apply(operation)
        if hold is None:
            message = f"{operation} left no hold"
            raise AssertionError(message)
        return hold


def _told(budget: int | None) -> str:
    return "none" if budget is None else dollars(budget)
