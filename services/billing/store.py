"""The ledger's SQL: holds, entries, balances, and what is counted by period.

Names need no schema: the search path is billing's own.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import asyncpg

from mesh.database import Connection, Database
from services.billing.audit import Difference, LedgerSums
from services.billing.book import Book, TeamFunds
from services.billing.hold import ChargeKind, Hold, HoldRequest, HoldState, JobId, Operation, TeamId
from services.billing.laws import OFFENDERS, SUMS
from services.billing.ledger import Entry, Movement, gains, transfer_id
from services.billing.memory import Memory
from services.billing.period import Period, name_of
from services.billing.plan import Plans

R = TypeVar("R")

LOCK = "SELECT version FROM ledger FOR UPDATE"
"""Whoever holds the row is alone with the ledger until the commit. It is a statement of its own because a statement
sees only what was committed before it began."""

HOLD = """
SELECT job_id, team_id, amount, charge_kind, state, create_time, close_time, item, metered, surcharge FROM holds"""
_HOLD_OF_TEAM = f"{HOLD} WHERE job_id = $1 AND team_id = $2"
_OPEN_HOLDS = f"{HOLD} WHERE state = 1 AND create_time <= $1 ORDER BY create_time, job_id LIMIT $2"

# One row for each operation: its job's hold, where there is one, and the funds of its team, where it asks for a hold.
_READ = """
SELECT ledger.version, holds.*, asked.team_id AS asking, balances.amount AS held, month.spent,
       month.used_count AS used_in_month, day.used_count AS used_on_day, terms.budget, terms.agreed_count
FROM ledger CROSS JOIN unnest($1::uuid[], $2::uuid[]) AS asked (job_id, team_id)
LEFT JOIN holds ON holds.job_id = asked.job_id
LEFT JOIN balances ON balances.account = 'team/' || asked.team_id || '/held'
LEFT JOIN periods AS month ON month.team_id = asked.team_id AND month.period = $3
LEFT JOIN periods AS day ON day.team_id = asked.team_id AND day.period = $4
LEFT JOIN terms ON terms.team_id = asked.team_id
"""

# Writes everything, or nothing where the ledger is not any more what was read.
_WRITE = """
WITH turn AS (
  UPDATE ledger SET version = version + 1 WHERE version = $1 RETURNING 1
), new_holds AS (
  INSERT INTO holds (job_id, team_id, amount, charge_kind, state, create_time, close_time, item, metered, surcharge)
  SELECT new.* FROM turn, unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::smallint[], $6::smallint[],
                                 $7::timestamptz[], $8::timestamptz[], $9::text[], $10::boolean[], $11::bigint[]) AS new
), closed_holds AS (
  UPDATE holds SET state = closed.state, close_time = closed.close_time
  FROM turn, unnest($12::uuid[], $13::smallint[], $14::timestamptz[]) AS closed (job_id, state, close_time)
  WHERE holds.job_id = closed.job_id
), new_entries AS (
  INSERT INTO entries (transfer_id, account, amount, create_time)
  SELECT new.* FROM turn, unnest($15::text[], $16::text[], $17::bigint[], $18::timestamptz[]) AS new
), new_balances AS (
  INSERT INTO balances (account, amount)
  SELECT new.* FROM turn, unnest($19::text[], $20::bigint[]) AS new
  ON CONFLICT (account) DO UPDATE SET amount = balances.amount + excluded.amount
), new_periods AS (
  INSERT INTO periods (team_id, period, used_count, spent, charge_count)
  SELECT new.* FROM turn, unnest($21::uuid[], $22::text[], $23::integer[], $24::bigint[], $25::bigint[]) AS new
  ON CONFLICT (team_id, period) DO UPDATE SET used_count = periods.used_count + excluded.used_count,
    spent = periods.spent + excluded.spent, charge_count = periods.charge_count + excluded.charge_count
)
SELECT count(*) FROM turn
"""

_ENTRIES = """
SELECT transfer_id, account, amount, create_time FROM entries
WHERE transfer_id = ANY($1::text[]) ORDER BY create_time, transfer_id, amount
"""


class LedgerStore:
    """The ledger."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database
        self._memory = Memory()

    async def keep_book(
        self, plans: Plans, operations: Sequence[Operation], now: dt.datetime, decide: Callable[[Book], R]
    ) -> R:
        """What `decide` answers when it is shown the book for a batch; what the book then has is committed.

        A batch takes two statements, or one where this process knows what it is about and nobody else has written
        since. Where another process has, it is read and decided again, the second time alone with the ledger.
        """
        async with self._database.acquire() as connection:
            if (book := self._memory.book(plans, operations, now)) is not None:
                answer = decide(book)
                with suppress(asyncpg.UniqueViolationError):  # there was a hold
                    if book.has(operations) and await self._write(connection, self._memory.version, book):
                        return answer
            version, book = await self._read(connection, plans, operations, now)
            answer = decide(book)
            if await self._write(connection, version, book):
                return answer
        async with self._database.transaction(first=LOCK) as connection:
            version, book = await self._read(connection, plans, operations, now)
            answer = decide(book)
            await self._write(connection, version, book)
            return answer

    async def _read(
        self, connection: Connection, plans: Plans, operations: Sequence[Operation], now: dt.datetime
    ) -> tuple[int, Book]:
        """The ledger's version, and the book for a batch."""
        asking = [operation.team_id if isinstance(operation, HoldRequest) else None for operation in operations]
        jobs = [operation.job_id for operation in operations]
        rows = await connection.fetch(_READ, jobs, asking, name_of(Period.MONTH, now), name_of(Period.DAY, now))
        version = rows[0]["version"]
        self._memory.see(version, now)
        holds = {hold.job_id: hold for hold in (hold_of(row) for row in rows if row["job_id"] is not None)}
        teams = self._memory.teams_of(holds.values())
        teams |= {TeamId(str(row["asking"])): _funds(row) for row in rows if row["asking"] is not None}
        return version, Book(plans, now, holds=holds, teams=teams)

    async def _write(self, connection: Connection, version: int, book: Book) -> bool:
        """Write what a book has changed; False, and nothing is written, where the ledger is at another version."""
        if not book.changed:
            return True
        if not await _write(connection, version, book):
            return False
        self._memory.keep(book, version + 1)
        return True

    async def find_hold(self, team_id: TeamId, job_id: JobId) -> tuple[Hold, list[Entry]] | None:
        """A job's hold and its ledger lines, oldest first; None where the team has none."""
        names = [transfer_id(job_id, movement) for movement in Movement]
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(_HOLD_OF_TEAM, job_id, team_id)
            if row is None:
                return None
            entries = await connection.fetch(_ENTRIES, names)
        return hold_of(row), [Entry(**entry) for entry in entries]

    async def open_holds(self, made_until: dt.datetime, limit: int) -> list[Hold]:
        """Open holds made at or before a time, oldest first."""
        return [hold_of(row) for row in await self._database.fetch(_OPEN_HOLDS, made_until, limit)]

    async def add_up(self) -> LedgerSums:
        """The whole ledger added up, as of one moment."""
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            [sums] = await connection.fetch(SUMS)
            offenders = {law: await connection.fetch(query) for law, query in OFFENDERS.items()}
        return LedgerSums(
            sum=sums["sum"],
            entry_count=sums["entry_count"],
            open_hold_count=sums["open_hold_count"],
            open_hold_amount=sums["open_hold_amount"],
            offenders={law: [Difference(**row) for row in rows] for law, rows in offenders.items()},
        )


async def _write(connection: Connection, version: int, book: Book) -> bool:
    """Write a book; False, and nothing is written, where the ledger is not at `version` any more."""
    balances = gains(book.entries)
    closed = [hold for job_id, hold in book.changed.items() if job_id not in book.made]
    written = await connection.fetchval(
        _WRITE,
        version,
        *_columns(10, (_hold_row(book.changed[job_id]) for job_id in book.made)),
        *_columns(3, ((hold.job_id, hold.state, hold.close_time) for hold in closed)),
        *_columns(4, ((each.transfer_id, each.account, each.amount, each.create_time) for each in book.entries)),
        *_columns(2, balances.items()),
        *_columns(5, ((*key, each.used, each.spent, each.charges) for key, each in book.tallies.items())),
    )
    return bool(written)


def _columns(count: int, rows: Iterable[tuple[object, ...]]) -> Sequence[Sequence[object]]:
    """So many columns of some rows, as arrays for `unnest`."""
    return tuple(zip(*rows, strict=True)) or ((),) * count


def _hold_row(hold: Hold) -> tuple[object, ...]:
    return (
        hold.job_id,
        hold.team_id,
        hold.amount,
        hold.charge_kind,
        hold.state,
        hold.create_time,
        hold.close_time,
        hold.item,
        hold.metered,
        hold.surcharge,
    )


def _funds(row: asyncpg.Record) -> TeamFunds:
    used = Counter({Period.MONTH: row["used_in_month"] or 0, Period.DAY: row["used_on_day"] or 0})
    return TeamFunds(row["held"] or 0, row["spent"] or 0, used, row["budget"], row["agreed_count"])


def hold_of(row: asyncpg.Record) -> Hold:
    """The hold in a row of HOLD."""
    return Hold(
        JobId(str(row["job_id"])),
        TeamId(str(row["team_id"])),
        row["amount"],
        ChargeKind(row["charge_kind"]),
        HoldState(row["state"]),
        row["create_time"],
        row["close_time"],
        row["item"],
        row["metered"],
        row["surcharge"],
    )
