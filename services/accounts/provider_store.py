"""What accounts keeps of credentials at providers, sealed, with their audit in the same commit."""

from __future__ import annotations

import datetime as dt

from mesh.database import Database
from mesh.outbox import Outbox
from mesh.vault import SealedSecret
from services.accounts import statements as sql
from services.accounts.actor import Actor
from services.accounts.provider import SHOWN_EVENTS, ProviderName, ProviderSecret, SecretAction, SecretEvent
from services.accounts.rows import secret_event_of, secret_of
from services.accounts.store import changing, one
from services.accounts.team import TeamId
from services.accounts.user import UserId


class ProviderStore:
    """Credentials at providers."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep them in `database`, and tell the audit trail through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def set_secret(
        self,
        team_id: TeamId,
        user_id: UserId,
        provider: ProviderName,
        secret: SealedSecret,
        time: dt.datetime,
        actor: Actor,
    ) -> ProviderSecret:
        """Keep credentials in place of earlier ones."""
        async with changing(self._database, self._outbox) as (connection, told):
            row = await one(
                connection, sql.SET_CREDENTIALS, team_id, provider, secret.sealed, secret.kid, time, user_id
            )
            await connection.execute(sql.NOTE_CREDENTIALS, team_id, provider, SecretAction.SET, user_id, "", time)
            told.append(actor.note(team_id, "provider_secret.set", provider, time, user=user_id))
        return secret_of(row)

    async def delete_secret(
        self, team_id: TeamId, user_id: UserId, provider: ProviderName, time: dt.datetime, actor: Actor
    ) -> None:
        """Forget credentials; nothing where there are none."""
        async with changing(self._database, self._outbox) as (connection, told):
            if await connection.execute(sql.DELETE_CREDENTIALS, team_id, provider) == "DELETE 1":
                await connection.execute(
                    sql.NOTE_CREDENTIALS, team_id, provider, SecretAction.DELETED, user_id, "", time
                )
                told.append(actor.note(team_id, "provider_secret.deleted", provider, time, user=user_id))

    async def use_secret(
        self, team_id: TeamId, provider: ProviderName, purpose: str, time: dt.datetime
    ) -> SealedSecret | None:
        """Credentials, and in the same commit a note of what they were needed for; None where there are none."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(sql.USE_CREDENTIALS, team_id, provider, time)
            if row is None:
                return None
            await connection.execute(sql.NOTE_CREDENTIALS, team_id, provider, SecretAction.USED, None, purpose, time)
        return SealedSecret(row["sealed"], row["kid"])

    async def list_secrets(self, team_id: TeamId) -> list[ProviderSecret]:
        """What is told of a team's credentials, by the provider's name."""
        return [secret_of(row) for row in await self._database.fetch(sql.LIST_CREDENTIALS, team_id)]

    async def secret_events(self, team_id: TeamId) -> list[SecretEvent]:
        """The last lines of the audit of a team's credentials, newest first."""
        return [
            secret_event_of(row) for row in await self._database.fetch(sql.CREDENTIALS_EVENTS, team_id, SHOWN_EVENTS)
        ]
