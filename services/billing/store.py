"""The only SQL of billing. Names need no schema: the search path is billing's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TypeVar

import asyncpg

from mesh.database import Connection, Database
from services.billing.audit import Difference, Law, LedgerSums
from services.billing.book import Book, TeamFunds
from services.billing.hold import (
    ChargeKind,
    Hold,
    HoldRequest,
    HoldState,
    JobId,
    Operation,
    TeamId,
    month_of,
)
from services.billing.ledger import Entry, Movement, available, gains, held, transfer_id
from services.billing.plan import Plans
from services.billing.statement import Statement, StatementLine

R = TypeVar("R")

# Whoever holds the row is alone with the ledger until the commit. It is a statement of its own because a statement sees
# only what was committed before it began.
_LOCK = "SELECT version FROM ledger FOR UPDATE"

_HOLD = "SELECT job_id, team_id, amount, charge_kind, state, create_time, close_time FROM holds"
_HOLD_OF_TEAM = f"{_HOLD} WHERE job_id = $1 AND team_id = $2"
_OPEN_HOLDS = f"{_HOLD} WHERE state = 1 AND create_time <= $1 ORDER BY create_time, job_id LIMIT $2"

# One row for each operation: its job's hold, where there is one, and the funds of its team, where it asks for a hold.
_READ = """
SELECT ledger.version, holds.*, asked.team_id AS asking, balances.amount AS available, included_jobs.used_count,
       terms.budget, terms.agreed_count
FROM ledger CROSS JOIN unnest($1::uuid[], $2::uuid[]) AS asked (job_id, team_id)
LEFT JOIN holds ON holds.job_id = asked.job_id
LEFT JOIN balances ON balances.account = 'team/' || asked.team_id || '/available'
LEFT JOIN included_jobs ON included_jobs.team_id = asked.team_id AND included_jobs.month = $3
LEFT JOIN terms ON terms.team_id = asked.team_id
"""

# Writes everything, or nothing where the ledger is not any more what was read.
_WRITE = """
WITH turn AS (
  UPDATE ledger SET version = version + 1 WHERE version = $17 RETURNING 1
), new_holds AS (
  INSERT INTO holds (job_id, team_id, amount, charge_kind, state, create_time, close_time)
  SELECT new.* FROM turn, unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::smallint[],
                                 $6::timestamptz[], $7::timestamptz[]) AS new
  ON CONFLICT (job_id) DO UPDATE SET state = excluded.state, close_time = excluded.close_time
), new_entries AS (
  INSERT INTO entries (transfer_id, account, amount, create_time)
  SELECT new.* FROM turn, unnest($8::text[], $9::text[], $10::bigint[], $11::timestamptz[]) AS new
), new_balances AS (
  INSERT INTO balances (account, amount)
  SELECT new.* FROM turn, unnest($12::text[], $13::bigint[]) AS new
  ON CONFLICT (account) DO UPDATE SET amount = balances.amount + excluded.amount
), new_included AS (
  INSERT INTO included_jobs (team_id, month, used_count)
  SELECT new.* FROM turn, unnest($14::uuid[], $15::date[], $16::integer[]) AS new
  ON CONFLICT (team_id, month) DO UPDATE SET used_count = included_jobs.used_count + excluded.used_count
)
SELECT count(*) FROM turn
"""

_ENTRIES = """
SELECT transfer_id, account, amount, create_time FROM entries
WHERE transfer_id = ANY($1::text[]) ORDER BY create_time, transfer_id, amount
"""

_FUNDS = "SELECT account, amount FROM balances WHERE account = ANY($1::text[])"
_LAST_ENTRIES = """
SELECT transfer_id, account, amount, create_time FROM entries
WHERE account = ANY($1::text[]) ORDER BY create_time DESC, transfer_id, amount LIMIT $2
"""
_OWED = "SELECT coalesce(-sum(amount), 0)::bigint FROM entries WHERE account = ANY($1::text[]) AND create_time < $2"
_CLOSED = """
SELECT state, charge_kind, count(*) AS job_count, sum(amount)::bigint AS amount FROM holds
WHERE team_id = $1 AND state <> 1 AND close_time >= $2 AND close_time < $3 GROUP BY 1, 2 ORDER BY 1, 2
"""

_SUMS = """
SELECT (SELECT coalesce(sum(amount), 0)::bigint FROM entries) AS sum,
       (SELECT count(*) FROM entries) AS entry_count,
       (SELECT count(*) FROM holds WHERE state = 1) AS open_hold_count,
       (SELECT coalesce(sum(amount), 0)::bigint FROM holds WHERE state = 1) AS open_hold_amount
"""
# Each answers the offenders against one law as name, found, expected.
_OFFENDERS = {
    Law.TRANSFER: """
        SELECT transfer_id AS name, sum(amount)::bigint AS found, 0::bigint AS expected
        FROM entries GROUP BY transfer_id HAVING sum(amount) <> 0 LIMIT 10""",
    Law.BALANCE: """
        SELECT account AS name, coalesce(balances.amount, 0) AS found, coalesce(lines.amount, 0) AS expected
        FROM balances
        FULL JOIN (SELECT account, sum(amount)::bigint AS amount FROM entries GROUP BY account) AS lines
        USING (account)
        WHERE coalesce(balances.amount, 0) <> coalesce(lines.amount, 0) LIMIT 10""",
    Law.HELD: """
        SELECT account AS name, coalesce(balances.amount, 0) AS found, coalesce(open.amount, 0) AS expected
        FROM (SELECT * FROM balances WHERE account LIKE 'team/%/held') AS balances
        FULL JOIN (SELECT 'team/' || team_id || '/held' AS account, sum(amount)::bigint AS amount
                   FROM holds WHERE state = 1 GROUP BY team_id) AS open
        USING (account)
        WHERE coalesce(balances.amount, 0) <> coalesce(open.amount, 0) LIMIT 10""",
    Law.NOT_NEGATIVE: """
        SELECT account AS name, amount AS found, 0::bigint AS expected
        FROM balances WHERE account LIKE 'team/%/held' AND amount < 0 LIMIT 10""",
    Law.INCLUDED: """
        SELECT team_id || ' in ' || month AS name,
               coalesce(used_count, 0) AS found, coalesce(held_count, 0) AS expected
        FROM included_jobs
        FULL JOIN (SELECT team_id, date_trunc('month', create_time AT TIME ZONE 'UTC')::date AS month,
                          count(*) AS held_count
                   FROM holds WHERE charge_kind = 2 AND state <> 3 GROUP BY 1, 2) AS held
        USING (team_id, month)
        WHERE coalesce(used_count, 0) <> coalesce(held_count, 0) LIMIT 10""",
}


class BillingStore:
    """What billing keeps."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database

    async def keep_book(
        self, plans: Plans, operations: Sequence[Operation], now: dt.datetime, decide: Callable[[Book], R]
    ) -> R:
        """What `decide` answers when it is shown the book for a batch; what the book then has is committed.

        A batch takes two statements. Where another process has written in between, it is read and decided again, the
        second time alone with the ledger.
        """
        async with self._database.acquire() as connection:
            version, book = await _read(connection, plans, operations, now)
            answer = decide(book)
            if not book.changed or await _write(connection, version, book):
                return answer
        async with self._database.transaction(first=_LOCK) as connection:
            version, book = await _read(connection, plans, operations, now)
            answer = decide(book)
            if book.changed:
                await _write(connection, version, book)
            return answer

    async def find_hold(self, team_id: TeamId, job_id: JobId) -> tuple[Hold, list[Entry]] | None:
        """A job's hold and its ledger lines, oldest first; None where the team has none."""
        names = [transfer_id(job_id, movement) for movement in Movement]
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(_HOLD_OF_TEAM, job_id, team_id)
            if row is None:
                return None
            entries = await connection.fetch(_ENTRIES, names)
        return _hold(row), [Entry(**entry) for entry in entries]

    async def funds(self, team_id: TeamId, limit: int) -> tuple[dict[str, int], list[Entry]]:
        """What the accounts of a team have, by name, and its last ledger lines, newest first."""
        accounts = [available(team_id), held(team_id)]
        balances = await self._database.fetch(_FUNDS, accounts)
        entries = await self._database.fetch(_LAST_ENTRIES, accounts, limit)
        return {row["account"]: row["amount"] for row in balances}, [Entry(**entry) for entry in entries]

    async def statement(self, team_id: TeamId, start: dt.datetime, end: dt.datetime) -> Statement:
        """What a team was charged from `start` to before `end`, as of one moment."""
        accounts = [available(team_id), held(team_id)]
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            before, after = [await connection.fetchval(_OWED, accounts, moment) for moment in (start, end)]
            closed = await connection.fetch(_CLOSED, team_id, start, end)
        settled = [row for row in closed if row["state"] == HoldState.SETTLED]
        return Statement(
            owed_before=before,
            owed_after=after,
            lines=[StatementLine(ChargeKind(row["charge_kind"]), row["job_count"], row["amount"]) for row in settled],
            released_count=sum(row["job_count"] for row in closed if row["state"] == HoldState.RELEASED),
        )

    async def open_holds(self, made_until: dt.datetime, limit: int) -> list[Hold]:
        """Open holds made at or before a time, oldest first."""
        return [_hold(row) for row in await self._database.fetch(_OPEN_HOLDS, made_until, limit)]

    async def add_up(self) -> LedgerSums:
        """The whole ledger added up, as of one moment."""
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            [sums] = await connection.fetch(_SUMS)
            offenders = {law: await connection.fetch(query) for law, query in _OFFENDERS.items()}
        return LedgerSums(
            sum=sums["sum"],
            entry_count=sums["entry_count"],
            open_hold_count=sums["open_hold_count"],
            open_hold_amount=sums["open_hold_amount"],
            offenders={law: [Difference(**row) for row in rows] for law, rows in offenders.items()},
        )


async def _read(
    connection: Connection, plans: Plans, operations: Sequence[Operation], now: dt.datetime
) -> tuple[int, Book]:
    """The ledger's version, and the book for a batch."""
    asking = [operation.team_id if isinstance(operation, HoldRequest) else None for operation in operations]
    rows = await connection.fetch(_READ, [operation.job_id for operation in operations], asking, month_of(now))
    holds = {hold.job_id: hold for hold in (_hold(row) for row in rows if row["job_id"] is not None)}
    teams = {TeamId(str(row["asking"])): _funds(row) for row in rows if row["asking"] is not None}
    return rows[0]["version"], Book(plans, now, holds=holds, teams=teams)


async def _write(connection: Connection, version: int, book: Book) -> bool:
    """Write a book; False, and nothing is written, where the ledger is not at `version` any more."""
    holds = list(book.changed.values())
    balances = gains(book.entries)
    written = await connection.fetchval(
        _WRITE,
        [hold.job_id for hold in holds],
        [hold.team_id for hold in holds],
        [hold.amount for hold in holds],
        [hold.charge_kind for hold in holds],
        [hold.state for hold in holds],
        [hold.create_time for hold in holds],
        [hold.close_time for hold in holds],
        [entry.transfer_id for entry in book.entries],
        [entry.account for entry in book.entries],
        [entry.amount for entry in book.entries],
        [entry.create_time for entry in book.entries],
        list(balances),
        list(balances.values()),
        [team_id for team_id, _ in book.used],
        [month for _, month in book.used],
        list(book.used.values()),
        version,
    )
    return bool(written)


def _funds(row: asyncpg.Record) -> TeamFunds:
    return TeamFunds(
        available=row["available"] or 0,
        used_count=row["used_count"] or 0,
        budget=row["budget"],
        agreed_count=row["agreed_count"],
    )


def _hold(row: asyncpg.Record) -> Hold:
    return Hold(
        JobId(str(row["job_id"])),
        TeamId(str(row["team_id"])),
        row["amount"],
        ChargeKind(row["charge_kind"]),
        HoldState(row["state"]),
        row["create_time"],
        row["close_time"],
    )
