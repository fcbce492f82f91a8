"""Making keys and replacing them: who may, what is told once, and what is told again.

A repeat of a request answers the first secret again for `REPEAT_SECONDS`, because the first answer may have been lost
on its way. Until then the secret lies beside the request, sealed as credentials at providers are; the key's own row
never has more than a digest.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import replace

from uuid_utils import uuid7

from mesh.errors import Conflict, NotFound, PermissionDenied
from mesh.vault import SealedSecret, Vault
from services.accounts.actor import Actor
from services.accounts.key import Environment, Issued, Key, KeyId, takes
from services.accounts.repetition import Repeatable
from services.accounts.secret import Peppers, hint, make_secret
from services.accounts.store import KeyStore
from services.accounts.team import TeamId
from services.accounts.team_store import TeamStore
from services.accounts.user import UserId

REPEAT_SECONDS = 86_400.0
_PLACE = "requests|sealed"


class Issuer:
    """Makes keys."""

    def __init__(
        self, keys: KeyStore, teams: TeamStore, *, peppers: Peppers, vault: Vault, clock: Callable[[], dt.datetime]
    ) -> None:
        """Keep keys in `keys`, digested under `peppers`; `clock` tells the time in UTC."""
        self._keys = keys
        self._teams = teams
        self._peppers = peppers
        self._vault = vault
        self._clock = clock

    async def create(  # noqa: PLR0913 - what a key consists of
        self,
        request: Repeatable,
        actor: Actor,
        *,
        team_id: TeamId,
        user_id: UserId,
        name: str,
        environment: Environment,
        end: Callable[[dt.datetime], dt.datetime | None],
    ) -> Issued:
        """Make a key that ends when `end` says, counted from now.

        Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW, PLAN_TOO_LOW), NotFound (USER_NOT_FOUND), and Conflict
        (REQUEST_ID_REUSED, SECRET_GONE, TOO_MANY_KEYS).
        """
        now = self._clock()
        secret = make_secret(environment, secrets.token_bytes)
        key = Key(
            key_id=KeyId(str(uuid7())),
            team_id=team_id,
            user_id=user_id,
            name=name,
            environment=environment,
            hint=hint(secret),
            create_time=now,
            expire_time=end(now),
        )
        actor.require_key(key)
        await self._require_standing(actor, key)
        kept, sealed = await self._keys.create_key(
            request, key, self._peppers.digest(secret), self._sealed(secret, team_id), actor
        )
        return Issued(kept, self._opened(sealed, kept), kept.key_id != key.key_id)

    async def rotate(
        self, request: Repeatable, actor: Actor, *, team_id: TeamId, key_id: KeyId, grace: dt.timedelta
    ) -> Issued:
        """Make a key in place of another, which goes on for `grace`.

        Raises NotFound (KEY_NOT_FOUND), PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW, PLAN_TOO_LOW), and Conflict
        (KEY_ENDED, REQUEST_ID_REUSED, SECRET_GONE, TOO_MANY_KEYS).
        """
        old = await self._keys.find_key(team_id, key_id)
        if old is None:
            raise no_key()
        actor.require_key(old)
        await self._require_standing(actor, old)
        now = self._clock()
        secret = make_secret(old.environment, secrets.token_bytes)
        new = old.successor(KeyId(str(uuid7())), hint(secret), now)
        kept, retired, sealed = await self._keys.rotate_key(
            request,
            replace(old, retire_time=now + grace),
            new,
            self._peppers.digest(secret),
            self._sealed(secret, team_id),
            actor,
        )
        return Issued(kept, self._opened(sealed, kept), kept.key_id != new.key_id, retired)

    async def _require_standing(self, actor: Actor, key: Key) -> None:
        """Refuse a secret for someone above who asks, or of an environment that the team's plan does not have."""
        team = await self._teams.find_team(key.team_id)
        role = await self._teams.role(key.team_id, key.user_id)
        if team is None or role is None:
            raise NotFound(f"The team has no user {key.user_id}.", reason="USER_NOT_FOUND", field="user_id")
        actor.require_not_above(role)
        if not takes(team.plan, key.environment):
            message = f"The plan {team.plan} has no enterprise keys: make a live or a test key."
            raise PermissionDenied(message, reason="PLAN_TOO_LOW", field="environment")

    def _sealed(self, secret: str, team_id: TeamId) -> SealedSecret:
        return SealedSecret(self._vault.seal(secret.encode(), team_id, _PLACE), self._vault.kid)

    def _opened(self, sealed: SealedSecret | None, key: Key) -> str:
        if sealed is None or sealed.kid != self._vault.kid:
            message = f"This request made the key {key.hint}… before, and its secret is not told any more: use another."
            raise Conflict(message, reason="SECRET_GONE", field="request_id")
        return self._vault.open(sealed.sealed, key.team_id, _PLACE, sealed.kid).decode()


def no_key() -> NotFound:
    """The error for a key that is not there, or another team's."""
    return NotFound("There is no such key, or it belongs to another team.", reason="KEY_NOT_FOUND", field="key_id")
