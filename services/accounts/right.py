"""Who may do what in a team, as data. The operator, who is no member of any team, may do everything."""

from __future__ import annotations

from enum import StrEnum

from services.accounts.key import Environment
from services.accounts.user import Role


class Right(StrEnum):
    """Something that a role may allow, as it stands in a refusal."""

    OWN_KEYS = "manage the own keys"
    TEAM_KEYS = "manage the keys of others"
    PROVIDERS = "manage the team's credentials at providers"
    MEMBERS = "manage members and admins"
    OWNERS = "manage owners"
    LEAVE = "leave the team"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset({Right.OWN_KEYS, Right.TEAM_KEYS, Right.PROVIDERS, Right.MEMBERS, Right.LEAVE}),
    Role.MEMBER: frozenset({Right.OWN_KEYS, Right.LEAVE}),
}

NOT_WITH_A_TEST_KEY = frozenset({Right.PROVIDERS, Right.MEMBERS, Right.OWNERS, Right.LEAVE})
"""What touches real accounts and real people; a test key lies around in more places than a live one."""

REACH: dict[Environment, frozenset[Environment]] = {
    Environment.TEST: frozenset({Environment.TEST}),
    Environment.LIVE: frozenset({Environment.TEST, Environment.LIVE}),
    Environment.ENTERPRISE: frozenset(Environment),
}
"""Which keys a key of an environment may make, replace and end: none above itself."""
