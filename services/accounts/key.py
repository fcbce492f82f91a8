"""API keys, without their secrets (services/accounts/secret.py)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NewType

from services.accounts.team import TeamId
from services.accounts.user import UserId

KeyId = NewType("KeyId", str)
ENTERPRISE_PLAN = "enterprise"
MOST_KEYS = 1000
"""Of a team at a time, ended ones not counted."""


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
    retire_time: dt.datetime | None = None
    """When its grace ends, since it was rotated."""
    last_use_time: dt.datetime | None = None

    @property
    def end(self) -> dt.datetime | None:
        """When it ends by itself, or did."""
        ends = [time for time in (self.expire_time, self.retire_time) if time is not None]
        return min(ends, default=None)

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether it opens doors at a time: not revoked, and not yet at its end."""
        return self.revoke_time is None and (self.end is None or now < self.end)

    def successor(self, key_id: KeyId, hint: str, now: dt.datetime) -> Key:
        """The key that takes its place, with the same lifetime from now on."""
        lifetime = self.expire_time - self.create_time if self.expire_time else None
        return Key(
            key_id=key_id,
            team_id=self.team_id,
            user_id=self.user_id,
            name=self.name,
            environment=self.environment,
            hint=hint,
            create_time=now,
            expire_time=now + lifetime if lifetime else None,
        )


@dataclass(frozen=True, slots=True)
class Credential:
    """A key with what decides about it: the stored digest, and its team's plan and state."""

    key: Key
    digest: bytes
    plan: str
    team_suspended: bool
    pepper_id: str
    """Of the pepper that the digest was made with; empty where that was not noted."""

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether the key opens doors at a time, were its team not suspended."""
        return self.key.is_valid(now) and takes(self.plan, self.key.environment)


def takes(plan: str, environment: Environment) -> bool:
    """Whether a plan has keys of an environment: those of enterprise are of the plan enterprise alone."""
    return environment is not Environment.ENTERPRISE or plan == ENTERPRISE_PLAN


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Which keys to list: the newest, or else the next newer than `before` or the next older than `after`, by id."""

    size: int
    before: KeyId | None = None
    after: KeyId | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A key that was made, with its secret."""

    key: Key
    secret: str = field(repr=False)
    replayed: bool
    old: Key | None = None
    """The key whose place it takes."""
