"""The SQL about one team: funds, terms, statements. What changes a limit is alone with the ledger, as a hold is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from mesh.database import Connection, Database
from mesh.errors import NotFound
from mesh.events import Message
from mesh.outbox import Outbox, insert
from services.billing.budget import Spending
from services.billing.hold import ChargeKind, HoldState, TeamId
from services.billing.ledger import Entry, available, held
from services.billing.period import Period, PeriodName, name_of
from services.billing.statement import Month, Page, Statement, StatementLine
from services.billing.store import HOLD, LOCK, hold_of

_FUNDS = "SELECT account, amount FROM balances WHERE account = ANY($1::text[])"
_LAST_ENTRIES = """
SELECT transfer_id, account, amount, create_time FROM entries
WHERE account = ANY($1::text[]) ORDER BY create_time DESC, transfer_id, amount LIMIT $2
"""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_USAGE = """
SELECT (SELECT amount FROM balances WHERE account = $2) AS held, month.spent, month.used_count AS used_in_month,
       (SELECT used_count FROM periods WHERE team_id = $1 AND period = $4) AS used_on_day, terms.budget,
       terms.agreed_count
FROM (SELECT $1::uuid AS team_id) AS asked
LEFT JOIN periods AS month ON month.team_id = asked.team_id AND month.period = $3
LEFT JOIN terms ON terms.team_id = asked.team_id
"""
_SET_BUDGET = """
INSERT INTO terms (team_id, budget) VALUES ($1, $2) ON CONFLICT (team_id) DO UPDATE SET budget = excluded.budget
"""
_SET_AGREED = """
INSERT INTO terms (team_id, agreed_count) VALUES ($1, $2)
ON CONFLICT (team_id) DO UPDATE SET agreed_count = excluded.agreed_count
"""
_TURN = "UPDATE ledger SET version = version + 1"
_OWED_BEFORE = """
SELECT coalesce(sum(spent), 0)::bigint FROM periods WHERE team_id = $1 AND length(period) = 7 AND period < $2
"""
_CLOSED = """
SELECT state, charge_kind, metered, count(*) AS job_count, sum(amount)::bigint AS amount,
       sum(surcharge)::bigint AS surcharge
FROM holds WHERE team_id = $1 AND state <> 1 AND close_time >= $2 AND close_time < $3 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_CHARGES = f"""{HOLD}
WHERE team_id = $1 AND state = 2 AND charge_kind <> 3 AND close_time >= $2 AND close_time < $3
  AND ($4::uuid IS NULL OR (close_time, job_id) > (SELECT close_time, job_id FROM holds WHERE job_id = $4))
ORDER BY close_time, job_id LIMIT $5"""  # noqa: S608 - a constant
_IS_CHARGED = "SELECT EXISTS (SELECT FROM holds WHERE job_id = $1 AND team_id = $2 AND state = 2)"
_MONTHS = """
SELECT period, spent, charge_count FROM periods
WHERE team_id = $1 AND length(period) = 7 AND charge_count > 0 AND ($2::text IS NULL OR period < $2)
ORDER BY period DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """How far a team is."""

    spending: Spending
    used: dict[Period, int]
    """Included jobs used in the present month, and today."""
    agreed_count: int | None


class TeamStore:
    """What billing keeps of each team."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep it in `database`, and tell of changes through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def funds(self, team_id: TeamId, limit: int) -> tuple[dict[str, int], list[Entry]]:
        """What the accounts of a team have, by name, and its last ledger lines, newest first."""
        accounts = [available(team_id), held(team_id)]
        balances = await self._database.fetch(_FUNDS, accounts)
        entries = await self._database.fetch(_LAST_ENTRIES, accounts, limit)
        return {row["account"]: row["amount"] for row in balances}, [Entry(**entry) for entry in entries]

    async def usage(self, team_id: TeamId, now: dt.datetime) -> Usage:
        """How far a team is in the month and on the day of `now`."""
        async with self._database.acquire() as connection:
            return await _usage(connection, team_id, now)

    async def set_budget(
        self, team_id: TeamId, budget: int | None, now: dt.datetime, note: Callable[[int | None], Message]
    ) -> Spending:
        """Set or remove a budget; no hold that is decided afterwards knows the old one. `note` tells what it was."""
        async with self._database.transaction(first=LOCK) as connection:
            before = (await _usage(connection, team_id, now)).spending.budget
            await connection.execute(_SET_BUDGET, team_id, budget)
            after = (await _usage(connection, team_id, now)).spending
            message = note(before)
            await connection.execute(_TURN)
            await insert(connection, [message])
        self._outbox.publish([message])
        return after

    async def set_agreed(
        self, team_id: TeamId, count: int | None, now: dt.datetime, note: Callable[[int | None], Message]
    ) -> None:
        """Set or remove the number of included jobs that was agreed with a team. `note` tells what it was."""
        async with self._database.transaction(first=LOCK) as connection:
            message = note((await _usage(connection, team_id, now)).agreed_count)
            await connection.execute(_SET_AGREED, team_id, count)
            await connection.execute(_TURN)
            await insert(connection, [message])
        self._outbox.publish([message])

    async def months(self, team_id: TeamId, after: str | None, size: int) -> tuple[list[Month], bool]:
        """The months in which a team was charged, newest first, and whether there are older ones."""
        rows = await self._database.fetch(_MONTHS, team_id, after, size + 1)
        months = [Month(PeriodName(row["period"]), row["spent"], row["charge_count"]) for row in rows[:size]]
        return months, len(rows) > size

    async def statement(self, team_id: TeamId, start: dt.datetime, end: dt.datetime, page: Page) -> Statement:
        """What a team was charged from `start` to before `end`, a month, as of one moment.

        Raises NotFound (CHARGE_NOT_FOUND) where the page is to follow a charge that the team does not have.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_SNAPSHOT)
            before = await connection.fetchval(_OWED_BEFORE, team_id, name_of(Period.MONTH, start))
            closed = await connection.fetch(_CLOSED, team_id, start, end)
            if page.after is not None and not await connection.fetchval(_IS_CHARGED, page.after, team_id):
                message = "after: the statement has no such line"
                raise NotFound(message, reason="CHARGE_NOT_FOUND", field="after")
            charges = await _charges(connection, team_id, start, end, page)
        lines = [
            StatementLine(
                ChargeKind(row["charge_kind"]), row["metered"], row["job_count"], row["amount"], row["surcharge"]
            )
            for row in closed
            if row["state"] == HoldState.SETTLED
        ]
        return Statement(
            owed_before=before,
            owed_after=before + sum(line.amount for line in lines),
            lines=lines,
            released_count=sum(row["job_count"] for row in closed if row["state"] == HoldState.RELEASED),
            charges=[hold_of(row) for row in charges[: page.size]],
            has_more=len(charges) > page.size > 0,
        )


async def _charges(
    connection: Connection, team_id: TeamId, start: dt.datetime, end: dt.datetime, page: Page
) -> list[asyncpg.Record]:
    """The page's charges and one more, where there is one."""
    if page.size == 0:
        return []
    rows: list[asyncpg.Record] = await connection.fetch(_CHARGES, team_id, start, end, page.after, page.size + 1)
    return rows


async def _usage(connection: Connection, team_id: TeamId, now: dt.datetime) -> Usage:
    names = [name_of(period, now) for period in Period]
    [row] = await connection.fetch(_USAGE, team_id, held(team_id), *names)
    spending = Spending.at(now, spent=row["spent"] or 0, held=row["held"] or 0, budget=row["budget"])
    used = {Period.MONTH: row["used_in_month"] or 0, Period.DAY: row["used_on_day"] or 0}
    return Usage(spending, used, row["agreed_count"])
