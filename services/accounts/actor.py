"""Who asks for a change: a user by a key of the team, or the operator. What they may do is in right.py."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from mesh.audit import Deed, audit_message
from mesh.errors import PermissionDenied
from mesh.events import Message
from services.accounts.key import Environment, Key, KeyId
from services.accounts.right import NOT_WITH_A_TEST_KEY, REACH, RIGHTS, Right
from services.accounts.team import TeamId
from services.accounts.user import Role, User, UserId


@dataclass(frozen=True, slots=True)
class Member:
    """A user of the team, as the key that asks tells."""

    user_id: UserId
    key_id: KeyId
    role: Role
    environment: Environment
    """The key's own."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks; without a member it is the operator."""

    member: Member | None = None

    def require(self, right: Right) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW) unless the role and the key allow it."""
        self.require_role(right)
        if self.member is not None and right in NOT_WITH_A_TEST_KEY and self.member.environment is Environment.TEST:
            raise PermissionDenied(f"A test key may not {right}: use a live key.", reason="KEY_TOO_LOW")

    def require_role(self, right: Right) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW) unless the role allows it: enough to look."""
        if self.member is not None and right not in RIGHTS[self.member.role]:
            roles = " or ".join(role.name.lower() for role in Role if right in RIGHTS[role])
            raise _too_low(f"The role {self.member.role.name.lower()} may not {right}: ask an {roles}.")

    def require_environment(self, environment: Environment) -> None:
        """Raise PermissionDenied (KEY_TOO_LOW) unless the key that asks reaches keys of an environment."""
        if self.member is not None and environment not in REACH[self.member.environment]:
            message = f"A key of the environment {self.member.environment.name.lower()} cannot make or manage one of "
            raise PermissionDenied(f"{message}{environment.name.lower()}.", reason="KEY_TOO_LOW", field="environment")

    def require_key(self, key: Key) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW) unless this key may be managed."""
        own = self.member is not None and key.user_id == self.member.user_id
        self.require(Right.OWN_KEYS if own else Right.TEAM_KEYS)
        self.require_environment(key.environment)

    def require_change(self, user: User, role: Role | None) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW) unless a user may get a role, or leave without one."""
        if role is None and self.member is not None and user.user_id == self.member.user_id:
            self.require(Right.LEAVE)
        else:
            self.require(Right.OWNERS if Role.OWNER in {user.role, role} else Right.MEMBERS)

    def require_not_above(self, role: Role) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW) where a role stands above that of who asks."""
        if self.member is not None and role < self.member.role:
            message = f"Only an {role.name.lower()} gets the secret of a key that acts for an {role.name.lower()}."
            raise _too_low(message)

    def sees_all_keys(self) -> bool:
        """Whether the keys of others are shown."""
        return self.member is None or Right.TEAM_KEYS in RIGHTS[self.member.role]

    def note(self, team_id: TeamId, action: str, object_id: str, time: dt.datetime, **details: str) -> Message:
        """The line of the audit trail about something that this actor did to a thing of a team."""
        deed = Deed(
            team_id=team_id,
            service="accounts",
            action=action,
            object_id=object_id,
            user_id=self.member.user_id if self.member else "",
            key_id=self.member.key_id if self.member else "",
            details=details if self.member else {"by": "operator", **details},
        )
        return audit_message(deed, time)


OPERATOR = Actor()


def _too_low(message: str) -> PermissionDenied:
    return PermissionDenied(message, reason="ROLE_TOO_LOW")
