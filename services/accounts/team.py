"""Teams, the tenants: every row of every service belongs to one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NewType

TeamId = NewType("TeamId", str)


@dataclass(frozen=True, slots=True)
class Team:
    """A tenant."""

    team_id: TeamId
    name: str
    plan: str
    """A row of billing's plans."""
    create_time: dt.datetime
    suspended: bool = False
    """Whether its keys are refused."""
