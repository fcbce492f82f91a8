"""Users: people, each in one team with a role."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from services.accounts.team import TeamId

UserId = NewType("UserId", str)


class Role(IntEnum):
    """What a user may do in the team; the numbers are those of the proto and of the database."""

    OWNER = 1
    ADMIN = 2
    MEMBER = 3


@dataclass(frozen=True, slots=True)
class User:
    """A person in one team."""

    user_id: UserId
    team_id: TeamId
    email: str
    """Unique over all teams, whatever the case of its letters."""
    name: str
    role: Role
    create_time: dt.datetime
