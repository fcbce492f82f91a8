"""Rows of the database as the nouns of accounts."""

from __future__ import annotations

import asyncpg

from services.accounts.key import Credential, Environment, Key, KeyId
from services.accounts.provider import ProviderName, ProviderSecret, SecretAction, SecretEvent
from services.accounts.team import Team, TeamId
from services.accounts.user import Role, User, UserId


def team_of(row: asyncpg.Record) -> Team:
    """A row of teams."""
    return Team(TeamId(str(row["team_id"])), row["name"], row["plan"], row["create_time"], suspended=row["suspended"])


def user_of(row: asyncpg.Record) -> User:
    """A row of users."""
    return User(
        UserId(str(row["user_id"])),
        TeamId(str(row["team_id"])),
        row["email"],
        row["name"],
        Role(row["role"]),
        row["create_time"],
    )


def key_of(row: asyncpg.Record) -> Key:
    """A row of keys."""
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
        row["retire_time"],
        row["last_use_time"],
    )


def credential_of(row: asyncpg.Record) -> Credential:
    """A row of keys with its team's plan and state."""
    return Credential(key_of(row), row["digest"], row["plan"], row["suspended"], row["pepper_id"])


def secret_of(row: asyncpg.Record) -> ProviderSecret:
    """A row of provider_secrets, without the secret."""
    return ProviderSecret(
        ProviderName(row["provider"]), row["set_time"], UserId(str(row["set_by"])), row["last_use_time"]
    )


def secret_event_of(row: asyncpg.Record) -> SecretEvent:
    """A row of provider_secret_events."""
    user_id = row["user_id"]
    return SecretEvent(
        ProviderName(row["provider"]),
        SecretAction(row["action"]),
        UserId(str(user_id)) if user_id else None,
        row["purpose"],
        row["create_time"],
    )
