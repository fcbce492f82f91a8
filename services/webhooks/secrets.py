"""The teams' secrets, open: made, sealed, and read for those who sign and those who show them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache

from mesh.vault import Vault
from services.webhooks.delivery import Sending, TeamId
from services.webhooks.sealed import PLACE, Sealed, StoredSecret
from services.webhooks.signature import make_secret
from services.webhooks.store import WebhooksStore

OPEN_SECRETS = 4096
"""That are kept open in memory."""


class Secrets:
    """Opens and makes secrets."""

    def __init__(self, store: WebhooksStore, vault: Vault, *, clock: Callable[[], dt.datetime]) -> None:
        """Keep them in `store`, sealed by `vault`."""
        self._store = store
        self._vault = vault
        self._clock = clock
        # The same few sign every delivery, and opening one costs as much as signing with it.
        self._open = lru_cache(OPEN_SECRETS)(self._opened)

    async def current(self, team_id: TeamId) -> StoredSecret:
        """The secret that signs for a team, made where it has none."""
        now = self._clock()
        found = await self._store.current_secret(team_id, now)
        if found is None:
            await self._store.first_secret(team_id, self.new(team_id), now)
            found = await self._store.current_secret(team_id, now)
        assert found is not None  # noqa: S101 - a team never loses its present secret
        return found

    def of(self, sending: Sending) -> list[str]:
        """What signs a delivery, newest first."""
        return [self.open(sending.team_id, each) for each in sending.secrets]

    def new(self, team_id: TeamId) -> Sealed:
        """A new secret of a team."""
        return self.seal(team_id, make_secret().encode("ascii"), PLACE)

    def open(self, team_id: TeamId, secret: Sealed) -> str:
        """A secret as it is shown."""
        return self._open(team_id, secret)

    def seal(self, team_id: TeamId, content: bytes, place: str) -> Sealed:
        """Anything of a team, for one of the store's places."""
        return Sealed(self._vault.seal(content, team_id, place), self._vault.kid)

    def unseal(self, team_id: TeamId, content: Sealed, place: str) -> bytes:
        """What `seal` was given."""
        return self._vault.open(content.sealed, team_id, place, content.kid)

    def _opened(self, team_id: TeamId, secret: Sealed) -> str:
        return self._vault.open(secret.sealed, team_id, PLACE, secret.kid).decode("ascii")
