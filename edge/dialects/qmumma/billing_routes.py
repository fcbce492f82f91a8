"""The declarations of the operations on a team's money."""

from __future__ import annotations

from edge.dialects.qmumma.billing import Billing
from edge.dialects.qmumma.billing_types import (
    MONTH_PATTERN,
    Budget,
    ListStatements,
    ReadStatement,
    SetBudget,
    Statement,
    StatementPage,
    Usage,
)
from edge.dialects.qmumma.examples import JOB_ID, one
from edge.dialects.qmumma.headers import ACCEPT
from edge.dialects.qmumma.links import of_month
from edge.operations import Example, Operation, Outcome, PathField

_TAG = "Billing"
_MONTH = PathField(
    name="month",
    description="The calendar month, in UTC. One that has not begun has no statement.",
    schema={"type": "string", "pattern": MONTH_PATTERN},
    example="2026-11",
)
_RESET = "2026-12-01T00:00:00Z"
_BUDGET = {
    "month": "2026-11",
    "resets_at": _RESET,
    "budget_usd": 500,
    "spent_usd": 151.51,
    "held_usd": 50,
    "remaining_usd": 298.49,
}
_NO_BUDGET = {"month": "2026-11", "resets_at": _RESET, "spent_usd": 151.51, "held_usd": 50}
_USAGE = {
    **_BUDGET,
    "plan": "commercial",
    "included_jobs": {
        "per": "month",
        "total": 100,
        "used": 100,
        "left": 0,
        "resets_at": _RESET,
        "then": "billed",
    },
}
_SUMMARY = {"month": "2026-11", "status": "open", "charged_usd": 75.01, "line_count": 3}
_TIMES = {"held_at": "2026-11-21T04:00:00.125Z", "charged_at": "2026-11-21T04:00:01.262Z"}
_STATEMENT = {
    "month": "2026-11",
    "status": "open",
    "opening_usd": 1200,
    "charged_usd": 75.01,
    "closing_usd": 1275.01,
    "totals": [
        {"type": "job", "reason": "price", "count": 1, "amount_usd": 75, "surcharge_usd": 25},
        {"type": "job", "reason": "included", "count": 1, "amount_usd": 0, "surcharge_usd": 0},
        {"type": "entropy", "reason": "price", "count": 1, "amount_usd": 0.01, "surcharge_usd": 0},
    ],
    "test_count": 12,
    "not_billed_count": 1,
    "lines": [
        {
            "id": JOB_ID,
            "type": "job",
            "item": "vqe.molecular.v2",
            "reason": "price",
            "amount_usd": 75,
            "surcharge_usd": 25,
            **_TIMES,
        },
        {
            "id": "qm_hold_0199f0c2a4b87c1d9e5f3a2b1c0d4e60",
            "type": "entropy",
            "item": "entropy, 10000 bits",
            "reason": "price",
            "amount_usd": 0.01,
            "surcharge_usd": 0,
            **_TIMES,
        },
    ],
    "has_more": True,
}
_STATEMENT_CSV = (
    '"charged_at","id","type","item","reason","amount_usd","surcharge_usd","held_at"\r\n'
    f'"{_TIMES["charged_at"]}","{JOB_ID}","job","vqe.molecular.v2","price","75.00","25.00","{_TIMES["held_at"]}"\r\n'
)
_MANAGERS = "Only an owner or admin of the team may, with a live key."


def billing_operations(billing: Billing) -> list[Operation]:
    """Everything under `/v1/billing`."""
    return [
        _usage(billing),
        _get_budget(billing),
        _set_budget(billing),
        _remove_budget(billing),
        _list_statements(billing),
        _get_statement(billing),
    ]


def _usage(billing: Billing) -> Operation:
    return Operation(
        id="getUsage",
        method="GET",
        path="/v1/billing/usage",
        handler=billing.usage,
        tag=_TAG,
        summary="Read what this month has come to",
        description="What the team has spent and holds, its budget, and the jobs that its plan still includes. Test "
        "keys read the same, and add nothing to it: what they run is never billed.",
        outcomes=(
            Outcome(
                status=200,
                description="This month.",
                kind=Usage,
                examples=one("A month with a budget", _USAGE),
                links=of_month("/month"),
            ),
        ),
    )


def _get_budget(billing: Billing) -> Operation:
    return Operation(
        id="getBudget",
        method="GET",
        path="/v1/billing/budget",
        handler=billing.budget,
        tag=_TAG,
        summary="Read the team's budget",
        description="The most that the team may be charged in a calendar month, and how far it is. Every key of the "
        "team may read it.",
        outcomes=(
            Outcome(
                status=200,
                description="The budget.",
                kind=Budget,
                examples={
                    "budget": Example(summary="A budget", value=_BUDGET),
                    "none": Example(summary="None", value=_NO_BUDGET),
                },
            ),
        ),
    )


def _set_budget(billing: Billing) -> Operation:
    return Operation(
        id="setBudget",
        method="PUT",
        path="/v1/billing/budget",
        handler=billing.set_budget,
        tag=_TAG,
        summary="Set the team's budget",
        description="A hard stop: a job or purchase that would bring what is spent and held this month past it is "
        "refused with 402, before anything is held. It holds from the answer on, for the whole team, to the "
        "micro-dollar, however many requests come at once. What is held already goes on. Each change is in the audit "
        "trail; of two, the last one counts.",
        body=SetBudget,
        body_examples=one("$500 a month", {"budget_usd": 500}),
        outcomes=(Outcome(status=200, description="The budget.", kind=Budget, examples=one("A budget", _BUDGET)),),
        errors={403: _MANAGERS},
    )


def _remove_budget(billing: Billing) -> Operation:
    return Operation(
        id="removeBudget",
        method="DELETE",
        path="/v1/billing/budget",
        handler=billing.remove_budget,
        tag=_TAG,
        summary="Remove the team's budget",
        description="Nothing bounds what the team is charged any more. Where there is none, nothing changes.",
        outcomes=(Outcome(status=204, description="There is no budget."),),
        errors={403: _MANAGERS},
    )


def _list_statements(billing: Billing) -> Operation:
    return Operation(
        id="listStatements",
        method="GET",
        path="/v1/billing/statements",
        handler=billing.statements,
        tag=_TAG,
        summary="List monthly statements",
        description="The months in which the team bought anything, newest first; the present one among them is still "
        "open. For the next page, pass the last month as `after`.",
        query=ListStatements,
        outcomes=(
            Outcome(
                status=200,
                description="A page of months.",
                kind=StatementPage,
                examples=one("A page of one", {"statements": [_SUMMARY], "has_more": False}),
                links=of_month("/statements/0/month"),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it."},
    )


def _get_statement(billing: Billing) -> Operation:
    return Operation(
        id="getStatement",
        method="GET",
        path="/v1/billing/statements/{month}",
        handler=billing.statement,
        tag=_TAG,
        summary="Read a monthly statement",
        description="Every job and purchase that was charged in the month, those that the plan includes among them, "
        "with totals that add up to the ledger to the micro-dollar. A job counts to the month in which it delivered. "
        "For the next page of lines, pass the last line's `id` as `after`; while the month is open, lines may be added "
        "at the end. As `text/csv` it has all lines that follow `after`, whatever `limit` says. Test keys are never "
        "billed, and what failed or was cancelled is not: they are counted, and have no line.",
        query=ReadStatement,
        path_fields=(_MONTH,),
        header_fields=(ACCEPT,),
        outcomes=(
            Outcome(
                status=200,
                description="The statement.",
                kind=Statement,
                also={"text/csv": _STATEMENT_CSV},
                examples=one("The first page of a month", _STATEMENT),
            ),
        ),
        errors={
            400: "A query parameter is wrong; `param` names it.",
            404: "The month has not begun, or the line in `after` does not exist.",
        },
    )
