"""The only SQL of accounts. Names need no schema: the search path is accounts' own."""

from __future__ import annotations

import datetime as dt

import asyncpg

from mesh.database import Connection, Database
from mesh.errors import Conflict, NotFound
from mesh.outbox import Outbox, insert
from services.accounts.key import Credential, Environment, Key, KeyId
from services.accounts.messages import revocation
from services.accounts.provider import (
    SHOWN_EVENTS,
    ProviderName,
    ProviderSecret,
    SealedSecret,
    SecretAction,
    SecretEvent,
)
from services.accounts.repetition import Repeatable
from services.accounts.team import Team, TeamId
from services.accounts.user import Role, User, UserId

_CLAIM = """
INSERT INTO requests (scope, request_id, fingerprint, made_id, create_time)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
"""
_CLAIMED = "SELECT fingerprint, made_id FROM requests WHERE scope = $1 AND request_id = $2"

_TEAM = "SELECT team_id, name, plan, suspended, create_time FROM teams WHERE team_id = $1"
_NEW_TEAM = "INSERT INTO teams (team_id, name, plan, suspended, create_time) VALUES ($1, $2, $3, $4, $5)"

_USER = "SELECT user_id, team_id, email, name, role, create_time FROM users WHERE user_id = $1"
_NEW_USER = "INSERT INTO users (user_id, team_id, email, name, role, create_time) VALUES ($1, $2, $3, $4, $5, $6)"

_KEY_COLUMNS = "key_id, team_id, user_id, name, environment, hint, create_time, expire_time, revoke_time"
_KEY = f"SELECT {_KEY_COLUMNS} FROM keys WHERE team_id = $1 AND key_id = $2"  # noqa: S608 - constants
_KEYS = f"SELECT {_KEY_COLUMNS} FROM keys WHERE team_id = $1 ORDER BY create_time DESC, key_id DESC"  # noqa: S608
_NEW_KEY = f"""
INSERT INTO keys ({_KEY_COLUMNS}, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""  # noqa: S608
_REVOKE = f"""
UPDATE keys SET revoke_time = $3 WHERE team_id = $1 AND key_id = $2 AND revoke_time IS NULL
RETURNING {_KEY_COLUMNS}
"""  # noqa: S608
_CREDENTIAL = """
SELECT keys.*, teams.plan, teams.suspended FROM keys JOIN teams USING (team_id) WHERE digest = $1
"""

_SET = """
INSERT INTO provider_secrets (team_id, provider, sealed, kid, set_time, set_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (team_id, provider) DO UPDATE SET sealed = $3, kid = $4, set_time = $5, set_by = $6
RETURNING provider, set_time, set_by, last_use_time
"""
_LIST = """
SELECT provider, set_time, set_by, last_use_time FROM provider_secrets WHERE team_id = $1 ORDER BY provider
"""
_USE = """
UPDATE provider_secrets SET last_use_time = $3 WHERE team_id = $1 AND provider = $2 RETURNING sealed, kid
"""
_NOTE = """
INSERT INTO provider_secret_events (team_id, provider, action, user_id, purpose, create_time)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_AUDIT = """
SELECT provider, action, user_id, purpose, create_time FROM provider_secret_events
WHERE team_id = $1 ORDER BY event_id DESC LIMIT $2
"""


class AccountsStore:
    """What accounts keeps."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep it in `database`, and tell what others must hear through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def create_team(self, request: Repeatable, team: Team) -> Team:
        """Keep a team, or answer the one that the same request made before."""
        async with self._database.transaction() as connection:
            made_id = await _claim(connection, request, team.team_id, team.create_time)
            if made_id is not None:
                return _team(await _one(connection, _TEAM, made_id))
            await connection.execute(_NEW_TEAM, team.team_id, team.name, team.plan, team.suspended, team.create_time)
        return team

    async def create_user(self, request: Repeatable, user: User) -> User:
        """Keep a user, or answer the one that the same request made before.

        Raises NotFound (TEAM_NOT_FOUND) and Conflict (EMAIL_TAKEN).
        """
        try:
            async with self._database.transaction() as connection:
                made_id = await _claim(connection, request, user.user_id, user.create_time)
                if made_id is not None:
                    return _user(await _one(connection, _USER, made_id))
                await connection.execute(
                    _NEW_USER, user.user_id, user.team_id, user.email, user.name, user.role, user.create_time
                )
        except asyncpg.ForeignKeyViolationError:
            raise NotFound(f"There is no team {user.team_id}.", reason="TEAM_NOT_FOUND", field="team_id") from None
        except asyncpg.UniqueViolationError:
            raise Conflict("The address belongs to a user already.", reason="EMAIL_TAKEN", field="email") from None
        return user

    async def create_key(self, request: Repeatable, key: Key, digest: bytes) -> Key:
        """Keep a key and the digest of its secret, or answer the key that the same request made before.

        Raises NotFound (USER_NOT_FOUND) unless the user is of the key's team.
        """
        try:
            async with self._database.transaction() as connection:
                made_id = await _claim(connection, request, key.key_id, key.create_time)
                if made_id is not None:
                    return _key(await _one(connection, _KEY, key.team_id, made_id))
                await connection.execute(_NEW_KEY, *_row(key), digest)
        except asyncpg.ForeignKeyViolationError:
            raise NotFound(f"The team has no user {key.user_id}.", reason="USER_NOT_FOUND", field="user_id") from None
        return key

    async def find_credential(self, digest: bytes) -> Credential | None:
        """The key whose secret has a digest, revoked and expired ones included."""
        row = await self._database.fetchrow(_CREDENTIAL, digest)
        return Credential(_key(row), row["digest"], row["plan"], row["suspended"]) if row else None

    async def list_keys(self, team_id: TeamId) -> list[Key]:
        """A team's keys, newest first."""
        return [_key(row) for row in await self._database.fetch(_KEYS, team_id)]

    async def revoke_key(self, team_id: TeamId, key_id: KeyId, time: dt.datetime) -> Key | None:
        """End a key, and tell it in the same commit; one that has ended stays as it is. None where there is none."""
        async with self._database.transaction() as connection:
            revoked = await connection.fetchrow(_REVOKE, team_id, key_id, time)
            if revoked is None:
                known = await connection.fetchrow(_KEY, team_id, key_id)
                return _key(known) if known else None
            message = revocation(key_id, time)
            await insert(connection, [message])
        self._outbox.publish([message])
        return _key(revoked)

    async def role(self, team_id: TeamId, user_id: UserId) -> Role | None:
        """What a user may do in a team; None where the user is not of it."""
        role = await self._database.fetchval(
            "SELECT role FROM users WHERE team_id = $1 AND user_id = $2", team_id, user_id
        )
        return None if role is None else Role(role)

    async def set_secret(
        self, team_id: TeamId, user_id: UserId, provider: ProviderName, secret: SealedSecret, time: dt.datetime
    ) -> ProviderSecret:
        """Keep credentials in place of earlier ones, and note who did it in the same commit."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SET, team_id, provider, secret.sealed, secret.kid, time, user_id)
            await connection.execute(_NOTE, team_id, provider, SecretAction.SET, user_id, "", time)
        return _secret(rows[0])

    async def delete_secret(self, team_id: TeamId, user_id: UserId, provider: ProviderName, time: dt.datetime) -> None:
        """Forget credentials, and note who did it in the same commit; nothing where there are none."""
        async with self._database.transaction() as connection:
            status = await connection.execute(
                "DELETE FROM provider_secrets WHERE team_id = $1 AND provider = $2", team_id, provider
            )
            if status == "DELETE 1":
                await connection.execute(_NOTE, team_id, provider, SecretAction.DELETED, user_id, "", time)

    async def use_secret(
        self, team_id: TeamId, provider: ProviderName, purpose: str, time: dt.datetime
    ) -> SealedSecret | None:
        """Credentials, and in the same commit a note of what they were needed for; None where there are none."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_USE, team_id, provider, time)
            if row is None:
                return None
            await connection.execute(_NOTE, team_id, provider, SecretAction.USED, None, purpose, time)
        return SealedSecret(row["sealed"], row["kid"])

    async def list_secrets(self, team_id: TeamId) -> list[ProviderSecret]:
        """What is told of a team's credentials, by the provider's name."""
        return [_secret(row) for row in await self._database.fetch(_LIST, team_id)]

    async def secret_events(self, team_id: TeamId) -> list[SecretEvent]:
        """The last lines of the audit of a team's credentials, newest first."""
        return [_secret_event(row) for row in await self._database.fetch(_AUDIT, team_id, SHOWN_EVENTS)]


async def _claim(connection: Connection, request: Repeatable, made_id: str, time: dt.datetime) -> str | None:
    """None where the request is new and now taken; else the id of what it made. Waits for a twin that is under way.

    Raises Conflict (REQUEST_ID_REUSED).
    """
    arguments = (request.scope, request.request_id)
    if await connection.fetchval(_CLAIM, *arguments, request.fingerprint, made_id, time):
        return None
    claimed = await _one(connection, _CLAIMED, *arguments)
    request.require_same(claimed["fingerprint"])
    return str(claimed["made_id"])


async def _one(connection: Connection, query: str, *arguments: object) -> asyncpg.Record:
    [row] = await connection.fetch(query, *arguments)
    return row


def _team(row: asyncpg.Record) -> Team:
    return Team(TeamId(str(row["team_id"])), row["name"], row["plan"], row["create_time"], suspended=row["suspended"])


def _user(row: asyncpg.Record) -> User:
    return User(
        UserId(str(row["user_id"])),
        TeamId(str(row["team_id"])),
        row["email"],
        row["name"],
        Role(row["role"]),
        row["create_time"],
    )


def _key(row: asyncpg.Record) -> Key:
    return Key(
        KeyId(str(row["key_id"])),
        TeamId(str(row["team_id"])),
        UserId(str(row["user_id"])),
        row["name"],
        Environment(row["environment"]),
        row["hint"],
        row["create_time"],
        row["expire_time"],
        row["revoke_time"],
    )


def _row(key: Key) -> tuple[object, ...]:
    return (
        key.key_id,
        key.team_id,
        key.user_id,
        key.name,
        key.environment,
        key.hint,
        key.create_time,
        key.expire_time,
        key.revoke_time,
    )


def _secret(row: asyncpg.Record) -> ProviderSecret:
    return ProviderSecret(
        ProviderName(row["provider"]), row["set_time"], UserId(str(row["set_by"])), row["last_use_time"]
    )


def _secret_event(row: asyncpg.Record) -> SecretEvent:
    user_id = row["user_id"]
    return SecretEvent(
        ProviderName(row["provider"]),
        SecretAction(row["action"]),
        UserId(str(user_id)) if user_id else None,
        row["purpose"],
        row["create_time"],
    )
