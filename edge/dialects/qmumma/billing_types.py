"""What is said about a team's money: its budget, its usage, its statements."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.dialects.qmumma.scalars import EXACT, Cost, Count, Moment, Name, Positive
from edge.money import Usd

MONTH_PATTERN = "^2[01][0-9]{2}-(0[1-9]|1[0-2])$"
LINE_ID_PATTERN = "^qm_(job|hold)_[0-9a-f]{32}$"
_Total = Annotated[Usd, Meta(extra_json_schema={"minimum": 0, "maximum": EXACT // 10**6})]
_MonthText = Annotated[
    str, Meta(description="The calendar month, in UTC.", pattern=MONTH_PATTERN, examples=["2026-11"])
]
_Remaining = (
    Annotated[Cost, Meta(description="What may still be spent or held this month; absent without a budget.")]
    | UnsetType
)
_BudgetUsd = (
    Annotated[
        Cost,
        Meta(
            description="The most that may be charged in a calendar month; absent where nothing bounds it. With 0 only "
            "what costs nothing is taken.",
            examples=[500],
        ),
    ]
    | UnsetType
)
_Spent = Annotated[Cost, Meta(description="Charged in this month.", examples=[151.5])]
_Held = Annotated[
    Cost, Meta(description="Set aside for jobs and purchases that have not ended; it counts as spent.", examples=[50])
]


class SetBudget(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A budget to set."""

    budget_usd: Annotated[
        Cost,
        Meta(
            description="The most that may be charged in a calendar month (UTC), 0 to 1,000,000,000 with at most 6 "
            "decimals. It may be below what is spent: then nothing more is taken, and what is held goes on.",
            examples=[500],
        ),
    ]


class Budget(msgspec.Struct, kw_only=True):
    """The team's budget, and what there is of it."""

    month: _MonthText
    resets_at: Annotated[Moment, Meta(description="When the next month begins, with the whole budget.")]
    budget_usd: _BudgetUsd = UNSET
    spent_usd: _Spent
    held_usd: _Held
    remaining_usd: _Remaining = UNSET


class IncludedJobs(msgspec.Struct, kw_only=True):
    """The jobs that the plan includes. Jobs of test keys and random bits do not count."""

    per: Annotated[Literal["month", "day"], Meta(description="For how long they are, in UTC.")]
    total: Annotated[Count, Meta(description="How many there are; absent where every job is included.")] | UnsetType = (
        UNSET
    )
    used: Annotated[Count, Meta(description="Used so far; those of jobs that failed are given back.")]
    left: Annotated[Count, Meta(description="Still free; absent where every job is.")] | UnsetType = UNSET
    resets_at: Annotated[Moment, Meta(description="When they are whole again.")]
    then: Annotated[
        Literal["billed", "refused"],
        Meta(
            description="What becomes of a job past them: `billed` at its algorithm's price, or `refused` (403, or 429 "
            "where they are a day's)."
        ),
    ]


class Usage(msgspec.Struct, kw_only=True):
    """The team's present month."""

    month: _MonthText
    resets_at: Annotated[Moment, Meta(description="When the next month begins.")]
    plan: Annotated[Name, Meta(description="The team's plan.", examples=["commercial"])]
    spent_usd: _Spent
    held_usd: _Held
    budget_usd: _BudgetUsd = UNSET
    remaining_usd: _Remaining = UNSET
    included_jobs: Annotated[IncludedJobs, Meta(description="The jobs that cost nothing.")]


class ListStatements(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which months are wanted."""

    limit: Annotated[int, Meta(description="How many months at most.", ge=1, le=100)] = 24
    after: (
        Annotated[str, Meta(description="Only months before this one.", pattern=MONTH_PATTERN, examples=["2026-11"])]
        | UnsetType
    ) = UNSET


class StatementSummary(msgspec.Struct, kw_only=True):
    """A month in short."""

    month: _MonthText
    status: Annotated[
        Literal["open", "final"], Meta(description="`final` once the month is over: nothing is added any more.")
    ]
    charged_usd: Annotated[_Total, Meta(description="What was charged in it.", examples=[151.51])]
    line_count: Annotated[Count, Meta(description="Lines of its statement.")]


class StatementPage(msgspec.Struct, kw_only=True):
    """Months, newest first."""

    statements: Annotated[
        list[StatementSummary], Meta(description="Months in which anything was bought.", max_length=100)
    ]
    has_more: Annotated[bool, Meta(description="Whether there are older ones.")]


class ReadStatement(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which lines of a statement are wanted. A CSV always has all that follow `after`."""

    limit: Annotated[int, Meta(description="How many lines at most; 0 for the totals alone.", ge=0, le=1000)] = 100
    after: (
        Annotated[
            str,
            Meta(
                description="Only lines after the one with this id.",
                pattern=LINE_ID_PATTERN,
                examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
            ),
        ]
        | UnsetType
    ) = UNSET


Kind = Annotated[Literal["job", "entropy"], Meta(description="A job, or a purchase of random bits.")]
Reason = Annotated[
    Literal["price", "included"],
    Meta(description="`included`: one of the jobs that the plan includes, at no cost; `price`: any other."),
]


class StatementTotal(msgspec.Struct, kw_only=True):
    """Lines of one kind, added up."""

    type: Kind
    reason: Reason
    count: Annotated[Positive, Meta(description="How many lines.")]
    amount_usd: Annotated[Cost, Meta(description="What they cost together.", examples=[150])]
    surcharge_usd: Annotated[Cost, Meta(description="Of that, for the priority queue.", examples=[25])]


class StatementLine(msgspec.Struct, kw_only=True):
    """One job, or one purchase of random bits."""

    id: Annotated[
        str,
        Meta(
            description="The job's id; of random bits, of their purchase.",
            pattern=LINE_ID_PATTERN,
            examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
        ),
    ]
    type: Kind
    item: Annotated[
        Name, Meta(description="What was bought: an algorithm's id, or bits.", examples=["vqe.molecular.v2"])
    ]
    reason: Reason
    amount_usd: Annotated[Cost, Meta(description="What was charged.", examples=[75])]
    surcharge_usd: Annotated[Cost, Meta(description="Of that, for the priority queue.", examples=[25])]
    held_at: Annotated[Moment, Meta(description="When it was accepted, and its price set aside.")]
    charged_at: Annotated[Moment, Meta(description="When it had delivered: this decides about the month.")]


class Statement(msgspec.Struct, kw_only=True):
    """A month: `closing_usd` is `opening_usd` and `charged_usd`, and that is the sum of the totals and of all lines."""

    month: _MonthText
    status: Annotated[
        Literal["open", "final"], Meta(description="`final` once the month is over: nothing is added any more.")
    ]
    opening_usd: Annotated[
        _Total,
        Meta(
            description="All that the team had ever been charged before the month began. Payments are not kept here.",
            examples=[1200],
        ),
    ]
    charged_usd: Annotated[_Total, Meta(description="What was charged in the month.", examples=[75.01])]
    closing_usd: Annotated[
        _Total, Meta(description="All that it had ever been charged at the end.", examples=[1275.01])
    ]
    totals: Annotated[
        list[StatementTotal], Meta(description="The lines of the whole month, added up by kind.", max_length=4)
    ]
    test_count: Annotated[Count, Meta(description="What test keys ran and bought: never billed, and on no line.")]
    not_billed_count: Annotated[Count, Meta(description="What failed or was cancelled: not billed, and on no line.")]
    lines: Annotated[list[StatementLine], Meta(description="A page of lines, by `charged_at`.", max_length=1000)]
    has_more: Annotated[bool, Meta(description="Whether more lines follow.")]
