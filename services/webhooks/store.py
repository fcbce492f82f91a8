"""The only SQL of webhooks. Names need no schema: the search path is webhooks' own."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from mesh.audit import Deed, audit_message
from mesh.database import Connection, Database
from mesh.errors import Conflict, NotFound
from mesh.outbox import Outbox, insert
from services.webhooks import statements
from services.webhooks.delivery import (
    FAILING_FOR,
    LEASE,
    Announcement,
    Attempt,
    Delivery,
    DeliveryId,
    EndpointId,
    Sending,
    State,
    TeamId,
    after,
)
from services.webhooks.rows import disabling, secret_columns, secret_of, seen, sending_of
from services.webhooks.sealed import Sealed, StoredSecret
from services.webhooks.signature import MOST_SECRETS

MOST_LINES = 16
"""Teams, and endpoints of each, that one claim looks at, from either of two ends."""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_NOBODY_FILES = "LOCK TABLE endpoints IN SHARE ROW EXCLUSIVE MODE"
SHOWN_ATTEMPTS = 10
"""Of a delivery, the latest."""
KEPT_ANSWERS = dt.timedelta(days=2)
MOST_FORGOTTEN = 5000
"""Deliveries, or endpoints, that one statement drops."""

Outcome = tuple[Sending, Attempt]


@dataclass(frozen=True, slots=True)
class Room:
    """What may be taken up now: places in all, for a team and for an endpoint, and what is under way already."""

    places: int
    team_places: int
    endpoint_places: int
    teams: Mapping[TeamId, int]
    endpoints: Mapping[EndpointId, int]


@dataclass(frozen=True, slots=True)
class Disabled:
    """An endpoint where nothing was taken for too long."""

    team_id: TeamId
    url: str
    failing_since: dt.datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A request by which a repeat is known."""

    team_id: TeamId
    request_id: str
    fingerprint: bytes
    """Of what was asked; something else under the same id is refused."""


class WebhooksStore:
    """What webhooks keeps."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep it in `database`, and tell the audit trail through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def file(
        self, announcements: Sequence[Announcement], new_secret: Callable[[TeamId], Sealed], now: dt.datetime
    ) -> None:
        """Make deliveries; one that is there already stays as it is. A team without a secret gets a new one."""
        teams, urls = [each.team_id for each in announcements], [each.url for each in announcements]
        async with self._database.transaction() as connection:
            bare = [TeamId(str(row[0])) for row in await connection.fetch(statements.BARE, teams)]
            if bare:
                await connection.execute(
                    statements.ADD, *secret_columns([(team, new_secret(team)) for team in bare], now)
                )
            await connection.execute(statements.NEW_ENDPOINTS, [uuid.uuid4() for _ in announcements], teams, urls)
            await connection.execute(
                statements.FILE,
                [each.delivery_id for each in announcements],
                teams,
                urls,
                [each.job_id for each in announcements],
                [each.event for each in announcements],
                [each.body for each in announcements],
                [each.create_time for each in announcements],
            )

    async def claim(self, room: Room, now: dt.datetime) -> list[Sending]:
        """Take up deliveries that are due, fairly (statements.CLAIM)."""
        rows = await self._database.fetch(
            statements.CLAIM, uuid.uuid4(), MOST_LINES, room.places, room.team_places, room.endpoint_places, now, LEASE,
            list(room.teams), list(room.teams.values()), list(room.endpoints), list(room.endpoints.values()),
            MOST_SECRETS,
        )  # fmt: skip
        return [sending_of(row) for row in rows]

    async def promote(self, now: dt.datetime) -> int:
        """Make due what waited until now, and what was taken up and left; answers how many, at most 1,000."""
        return len(await self._database.fetch(statements.PROMOTE, now))

    async def settle(self, outcomes: Sequence[Outcome]) -> list[Disabled]:
        """Keep tries, with what follows for their deliveries and endpoints; the endpoints that are disabled by it."""
        next_states = [after(attempt, sending.attempt_count) for sending, attempt in outcomes]
        attempts = [attempt for _, attempt in outcomes]
        columns = [
            [sending.delivery_id for sending, _ in outcomes],
            [sending.attempt_count for sending, _ in outcomes],
            [state for state, _ in next_states],
            [due for _, due in next_states],
            [attempt.create_time for attempt in attempts],
            [attempt.latency for attempt in attempts],
            [attempt.status_code for attempt in attempts],
            [attempt.error for attempt in attempts],
            [attempt.response for attempt in attempts],
        ]
        async with self._database.transaction() as connection:
            await connection.execute(statements.SETTLE, *columns)
            noted = await connection.fetch(statements.NOTE, *seen(outcomes), FAILING_FOR)
            disabled = [row for row in noted if row["disabled"]]
            messages = [audit_message(disabling(row), row["time"]) for row in disabled]
            if disabled:
                await connection.execute(statements.DISABLE, [row["endpoint_id"] for row in disabled])
                await insert(connection, messages)
        self._outbox.publish(messages)
        return [Disabled(TeamId(str(row["team_id"])), row["url"], row["failing_since"]) for row in disabled]

    async def current_secret(self, team_id: TeamId, now: dt.datetime) -> StoredSecret | None:
        """The secret that signs for a team; None where it has none yet."""
        row = await self._database.fetchrow(statements.PRESENT, team_id, now)
        return secret_of(row) if row else None

    async def first_secret(self, team_id: TeamId, secret: Sealed, now: dt.datetime) -> None:
        """Give a team its first secret; nothing where it has one."""
        await self._database.execute(statements.ADD, *secret_columns([(team_id, secret)], now))

    async def rotate(
        self,
        request: Asked,
        secret: Sealed,
        *,
        expire_time: dt.datetime,
        now: dt.datetime,
        answer: Callable[[StoredSecret], Sealed],
        deed: Deed,
    ) -> tuple[Sealed, bool]:
        """Put a secret in the place of those that sign, which then sign until `expire_time` at most."""

        async def change(connection: Connection) -> Sealed:
            await connection.execute(statements.EXPIRE, request.team_id, expire_time)
            await connection.execute(statements.ADD, *secret_columns([(request.team_id, secret)], now))
            [row] = await connection.fetch(statements.PRESENT, request.team_id, now)
            return answer(secret_of(row))

        return await self._once(request, change, deed, now)

    async def retry(
        self,
        request: Asked,
        delivery_id: DeliveryId,
        *,
        now: dt.datetime,
        answer: Callable[[Delivery], Sealed],
        deed: Deed,
    ) -> tuple[Sealed, bool]:
        """Send a delivery again; raises NotFound (DELIVERY_NOT_FOUND)."""

        async def change(connection: Connection) -> Sealed:
            await connection.execute(statements.RETRY, request.team_id, delivery_id, now)
            rows = await connection.fetch(statements.ONE, request.team_id, delivery_id)
            if not rows:
                raise NotFound("There is no such delivery.", reason="DELIVERY_NOT_FOUND", field="delivery_id")
            [delivery] = await _told(connection, rows)
            return answer(delivery)

        return await self._once(request, change, deed, now)

    async def page(
        self,
        team_id: TeamId,
        *,
        after: DeliveryId | None,
        job_id: str | None,
        states: Sequence[State] | None,
        size: int,
    ) -> tuple[Sequence[Delivery], bool]:
        """Up to `size` deliveries of a team, newest first; and whether there are more. All as of one moment."""
        async with self._database.transaction(first=_SNAPSHOT) as connection:
            rows = await connection.fetch(statements.LIST, team_id, after, job_id, states, size + 1)
            return await _told(connection, rows[:size]), len(rows) > size

    async def forget(self, *, deliveries_before: dt.datetime, now: dt.datetime) -> bool:
        """Drop old deliveries that wait for nothing, and answers that no repeat can come for; whether some are left."""
        dropped = await self._database.execute(statements.FORGET, deliveries_before, MOST_FORGOTTEN)
        await self._database.execute("DELETE FROM requests WHERE create_time < $1", now - KEPT_ANSWERS)
        return dropped == f"DELETE {MOST_FORGOTTEN}"

    async def forget_endpoints(self) -> bool:
        """Drop endpoints of which no delivery is left, with what is known of their failures; whether some may be left.

        They are looked for first: nobody files a delivery while they are dropped.
        """
        unused = [row[0] for row in await self._database.fetch(statements.UNUSED, MOST_FORGOTTEN)]
        if unused:
            async with self._database.transaction(first=_NOBODY_FILES) as connection:
                await connection.execute(statements.FORGET_ENDPOINTS, unused)
        return len(unused) == MOST_FORGOTTEN

    async def _once(
        self, request: Asked, change: Callable[[Connection], Awaitable[Sealed]], deed: Deed, now: dt.datetime
    ) -> tuple[Sealed, bool]:
        """The answer of `change`, or of an earlier request with the same id, and whether it is that."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", request.team_id)
            row = await connection.fetchrow(
                "SELECT fingerprint, sealed, kid FROM requests WHERE team_id = $1 AND request_id = $2",
                request.team_id, request.request_id,
            )  # fmt: skip
            if row is not None:
                if row["fingerprint"] != request.fingerprint:
                    message = "This Idempotency-Key was used with another request; use a new key for a new request."
                    raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="request_id")
                return Sealed(row["sealed"], row["kid"]), True
            answer = await change(connection)
            await connection.execute(
                "INSERT INTO requests (team_id, request_id, fingerprint, sealed, kid, create_time)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                request.team_id, request.request_id, request.fingerprint, answer.sealed, answer.kid, now,
            )  # fmt: skip
            messages = [audit_message(deed, now)]
            await insert(connection, messages)
        self._outbox.publish(messages)
        return answer, False


async def _told(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Delivery]:
    """The deliveries of rows, with their latest tries."""
    attempts: defaultdict[uuid.UUID, list[Attempt]] = defaultdict(list)
    for row in await connection.fetch(statements.ATTEMPTS, [row["delivery_id"] for row in rows], SHOWN_ATTEMPTS):
        attempts[row["delivery_id"]].append(
            Attempt(
                create_time=row["create_time"],
                latency=row["latency"],
                status_code=row["status_code"],
                error=row["error"],
                response=row["response"],
            )
        )
    return [
        Delivery(
            delivery_id=DeliveryId(str(row["delivery_id"])),
            job_id=str(row["job_id"]),
            event=row["event"],
            url=row["url"],
            state=State(row["state"]),
            create_time=row["create_time"],
            due_time=row["due_time"],
            attempt_count=row["attempt_count"],
            failing_since=row["failing_since"],
            disable_time=row["disable_time"],
            attempts=attempts[row["delivery_id"]],
        )
        for row in rows
    ]
