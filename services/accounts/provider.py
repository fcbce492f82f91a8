"""A team's credentials at providers of quantum hardware: what is told of them, and of who touched them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from services.accounts.user import UserId

ProviderName = NewType("ProviderName", str)

PLACE = "provider_secrets|sealed"
"""Where they are kept: part of what they are bound to."""
SHOWN_EVENTS = 100


class SecretAction(IntEnum):
    """What was done with credentials; the numbers are those of the proto and of the database."""

    SET = 1
    DELETED = 2
    USED = 3


@dataclass(frozen=True, slots=True)
class ProviderSecret:
    """What is told of credentials."""

    provider: ProviderName
    set_time: dt.datetime
    set_by: UserId
    last_use_time: dt.datetime | None


@dataclass(frozen=True, slots=True)
class SecretEvent:
    """A line of the audit: a user's deed, or execution's with its purpose."""

    provider: ProviderName
    action: SecretAction
    user_id: UserId | None
    purpose: str
    create_time: dt.datetime
