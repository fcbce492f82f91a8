"""What accounts keeps of keys. Each change, its audit and what others must hear are one commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from mesh.database import Connection, Database
from mesh.errors import Conflict, NotFound
from mesh.events import Message
from mesh.outbox import Outbox, insert
from mesh.vault import SealedSecret
from services.accounts import statements as sql
from services.accounts.actor import Actor
from services.accounts.key import MOST_KEYS, Credential, Key, KeyId, KeyPage
from services.accounts.messages import revocation, rotation
from services.accounts.repetition import Made, Repeatable
from services.accounts.rows import credential_of, key_of
from services.accounts.secret import Digest
from services.accounts.team import TeamId
from services.accounts.user import UserId


class KeyStore:
    """API keys."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep them in `database`, and tell what others must hear through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def create_key(
        self, request: Repeatable, key: Key, digest: Digest, secret: SealedSecret, actor: Actor
    ) -> tuple[Key, SealedSecret | None]:
        """Keep a key, the digest of its secret, and for a while the secret itself, sealed; or what the request made.

        Raises NotFound (USER_NOT_FOUND) unless the user is of the key's team, and Conflict (TOO_MANY_KEYS).
        """
        async with self._change() as (connection, told):
            made = await claim(connection, request, key.key_id, key.create_time, secret)
            if made is not None:
                return key_of(await one(connection, sql.KEY, key.team_id, made.made_id)), made.secret
            await self._add_key(connection, key, digest)
            told.append(actor.note(key.team_id, "key.created", key.key_id, key.create_time, **_described(key)))
        return key, secret

    async def rotate_key(
        self, request: Repeatable, old: Key, new: Key, digest: Digest, secret: SealedSecret, actor: Actor
    ) -> tuple[Key, Key, SealedSecret | None]:
        """Keep `new` and let `old` end at its `retire_time`; answers the new key, the old one, and the new secret.

        Raises Conflict (KEY_ENDED) where the old one has ended, or was rotated before, and (TOO_MANY_KEYS).
        """
        async with self._change() as (connection, told):
            made = await claim(connection, request, new.key_id, new.create_time, secret)
            if made is not None:
                kept = key_of(await one(connection, sql.KEY, new.team_id, made.made_id))
                return kept, key_of(await one(connection, sql.KEY, old.team_id, old.key_id)), made.secret
            assert old.retire_time is not None  # noqa: S101 - tells the type checker
            retired = await connection.fetchrow(sql.RETIRE, old.team_id, old.key_id, old.retire_time, new.create_time)
            if retired is None:
                message = "This key has ended, or was rotated before: rotate the key that took its place."
                raise Conflict(message, reason="KEY_ENDED", field="key_id")
            await self._add_key(connection, new, digest)
            told += [
                rotation(old.key_id, old.retire_time, new.create_time),
                actor.note(
                    new.team_id,
                    "key.rotated",
                    old.key_id,
                    new.create_time,
                    end_after=old.retire_time.isoformat(),
                    new_key=new.key_id,
                ),
            ]
        return new, key_of(retired), secret

    async def find_credential(self, digests: Sequence[bytes]) -> Credential | None:
        """The key whose secret has one of these digests, ended ones included."""
        row = await self._database.fetchrow(sql.CREDENTIAL, digests)
        return credential_of(row) if row else None

    async def find_key(self, team_id: TeamId, key_id: KeyId) -> Key | None:
        """A key of a team."""
        row = await self._database.fetchrow(sql.KEY, team_id, key_id)
        return key_of(row) if row else None

    async def list_keys(self, team_id: TeamId, user_id: UserId | None, page: KeyPage) -> tuple[list[Key], bool]:
        """A page of a team's keys, or of one user's; and whether there are more in its direction."""
        edges = [edge for edge in (page.before, page.after) if edge is not None]
        query = sql.NEWER_KEYS if page.before else sql.OLDER_KEYS if page.after else sql.NEWEST_KEYS
        rows = await self._database.fetch(query, team_id, user_id, page.size + 1, *edges)
        keys = [key_of(row) for row in rows[: page.size]]
        return keys[::-1] if page.before else keys, len(rows) > page.size

    async def revoke_key(self, team_id: TeamId, key_id: KeyId, time: dt.datetime, actor: Actor) -> Key | None:
        """End a key, and tell it in the same commit; one that has ended stays as it is. None where there is none."""
        async with self._change() as (connection, told):
            revoked = await connection.fetchrow(sql.REVOKE, team_id, key_id, time)
            if revoked is None:
                known = await connection.fetchrow(sql.KEY, team_id, key_id)
                return key_of(known) if known else None
            key = key_of(revoked)
            told += [revocation(key_id, time), actor.note(team_id, "key.revoked", key_id, time, **_described(key))]
        return key

    async def note_uses(self, uses: Mapping[KeyId, dt.datetime]) -> None:
        """Keep when keys were last used."""
        await self._database.execute(sql.NOTE_USES, list(uses), list(uses.values()))

    async def move_digests(self, digests: Mapping[KeyId, bytes], pepper_id: str) -> None:
        """Keep digests that were made anew, with the pepper of the moment."""
        await self._database.execute(sql.MOVE_DIGESTS, list(digests), list(digests.values()), pepper_id)

    async def count_by_pepper(self, now: dt.datetime) -> dict[str, int]:
        """How many keys hold under each pepper."""
        rows = await self._database.fetch(sql.COUNT_BY_PEPPER, now)
        return {row["pepper_id"]: row["key_count"] for row in rows}

    async def forget_secrets(self, before: dt.datetime) -> None:
        """Forget the sealed secrets of answers that were given before a time."""
        await self._database.execute(sql.FORGET_SECRETS, before)

    async def _add_key(self, connection: Connection, key: Key, digest: Digest) -> None:
        """Insert a key, while nobody else adds one to the team."""
        if not await connection.fetch(sql.LOCK_TEAM, key.team_id) or not await connection.fetch(
            sql.ROLE, key.team_id, key.user_id
        ):
            raise NotFound(f"The team has no user {key.user_id}.", reason="USER_NOT_FOUND", field="user_id")
        if await connection.fetchval(sql.COUNT_VALID, key.team_id, key.create_time) >= MOST_KEYS:
            message = f"The team has {MOST_KEYS} keys that hold: revoke one first."
            raise Conflict(message, reason="TOO_MANY_KEYS")
        await connection.execute(
            sql.NEW_KEY,
            key.key_id,
            key.team_id,
            key.user_id,
            key.name,
            key.environment,
            key.hint,
            key.create_time,
            key.expire_time,
            digest.value,
            digest.pepper_id,
        )

    def _change(self) -> AbstractAsyncContextManager[tuple[Connection, list[Message]]]:
        return changing(self._database, self._outbox)


@asynccontextmanager
async def changing(database: Database, outbox: Outbox) -> AsyncIterator[tuple[Connection, list[Message]]]:
    """A transaction, and the messages that are to be told if it is committed."""
    told: list[Message] = []
    async with database.transaction() as connection:
        yield connection, told
        await insert(connection, told)
    outbox.publish(told)


async def claim(
    connection: Connection, request: Repeatable, made_id: str, time: dt.datetime, secret: SealedSecret | None = None
) -> Made | None:
    """None where the request is new and now taken; else what it made. Waits for a twin that is under way.

    Raises Conflict (REQUEST_ID_REUSED).
    """
    arguments = (request.scope, request.request_id)
    sealed, kid = (secret.sealed, secret.kid) if secret else (None, "")
    if await connection.fetchval(sql.CLAIM, *arguments, request.fingerprint, made_id, time, sealed, kid):
        return None
    claimed = await one(connection, sql.CLAIMED, *arguments)
    request.require_same(claimed["fingerprint"])
    kept = claimed["sealed"]
    return Made(str(claimed["made_id"]), SealedSecret(kept, claimed["kid"]) if kept else None)


async def one(connection: Connection, query: str, *arguments: object) -> asyncpg.Record:
    """The one row of a query."""
    [row] = await connection.fetch(query, *arguments)
    return row


def _described(key: Key) -> dict[str, str]:
    return {"name": key.name, "environment": key.environment.name.lower(), "user": key.user_id}
