"""The secret that signs a team's deliveries: the present one, and those before it that sign beside it for a while."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

PLACE = "secrets|sealed"
"""Where it is kept, as the seal has it (mesh/vault)."""
ANSWER_PLACE = "requests|sealed"
"""Where the answer to a request is kept, which may hold one."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Bytes that only the vault can read."""

    sealed: bytes = field(repr=False)
    kid: str


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The present secret of a team."""

    secret: Sealed
    create_time: dt.datetime
    previous_expire_time: dt.datetime | None
    """Until when one before it signs too; None where none does."""
