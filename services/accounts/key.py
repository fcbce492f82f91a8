"""API keys, without their secrets (services/accounts/secret.py)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from services.accounts.team import TeamId
from services.accounts.user import UserId

KeyId = NewType("KeyId", str)


class Environment(IntEnum):
    """What a key may touch; the numbers are those of the proto and of the database."""

    LIVE = 1
    TEST = 2
    ENTERPRISE = 3


@dataclass(frozen=True, slots=True)
class Key:
    """An API key."""

    key_id: KeyId
    team_id: TeamId
    user_id: UserId
    name: str
    environment: Environment
    hint: str
    """The start of the secret."""
    create_time: dt.datetime
    expire_time: dt.datetime | None = None
    revoke_time: dt.datetime | None = None

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether it opens doors at a time: not revoked, and not yet expired."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key with what decides about it: the stored digest, and its team's plan and state."""

    key: Key
    digest: bytes
    plan: str
    team_suspended: bool
