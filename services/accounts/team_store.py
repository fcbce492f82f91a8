"""What accounts keeps of teams and users. Each change, its audit and what others must hear are one commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg

from mesh.database import Connection, Database
from mesh.errors import Conflict, NotFound
from mesh.events import Message
from mesh.outbox import Outbox
from services.accounts import statements as sql
from services.accounts.actor import Actor
from services.accounts.key import KeyId
from services.accounts.messages import revocation, team_change
from services.accounts.repetition import Repeatable
from services.accounts.rows import team_of, user_of
from services.accounts.store import changing, claim, one
from services.accounts.team import Team, TeamId
from services.accounts.user import Role, User, UserId


class TeamStore:
    """Teams and users."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """Keep them in `database`, and tell what others must hear through `outbox`."""
        self._database = database
        self._outbox = outbox

    async def create_team(self, request: Repeatable, team: Team, actor: Actor) -> Team:
        """Keep a team, or answer the one that the same request made before."""
        async with self._change() as (connection, told):
            made = await claim(connection, request, team.team_id, team.create_time)
            if made is not None:
                return team_of(await one(connection, sql.TEAM, made.made_id))
            await connection.execute(sql.NEW_TEAM, team.team_id, team.name, team.plan, team.suspended, team.create_time)
            told.append(
                actor.note(team.team_id, "team.created", team.team_id, team.create_time, name=team.name, plan=team.plan)
            )
        return team

    async def create_user(self, request: Repeatable, user: User, actor: Actor) -> User:
        """Keep a user, or answer the one that the same request made before.

        Raises NotFound (TEAM_NOT_FOUND) and Conflict (EMAIL_TAKEN).
        """
        try:
            async with self._change() as (connection, told):
                made = await claim(connection, request, user.user_id, user.create_time)
                if made is not None:
                    return user_of(await one(connection, sql.USER, made.made_id))
                await connection.execute(
                    sql.NEW_USER, user.user_id, user.team_id, user.email, user.name, user.role, user.create_time
                )
                role = user.role.name.lower()
                told.append(actor.note(user.team_id, "user.added", user.user_id, user.create_time, role_after=role))
        except asyncpg.ForeignKeyViolationError:
            raise NotFound(f"There is no team {user.team_id}.", reason="TEAM_NOT_FOUND", field="team_id") from None
        except asyncpg.UniqueViolationError:
            raise Conflict("The address belongs to a user already.", reason="EMAIL_TAKEN", field="email") from None
        return user

    async def role(self, team_id: TeamId, user_id: UserId) -> Role | None:
        """What a user may do in a team; None where the user is not of it."""
        role = await self._database.fetchval(sql.ROLE, team_id, user_id)
        return None if role is None else Role(role)

    async def find_team(self, team_id: TeamId) -> Team | None:
        """A team."""
        row = await self._database.fetchrow(sql.TEAM, team_id)
        return team_of(row) if row else None

    async def list_teams(self, after: TeamId | None, query: str, size: int) -> tuple[list[Team], bool]:
        """A page of teams, newest first, and whether there are more."""
        rows = await self._database.fetch(sql.TEAMS, after, query, size + 1)
        return [team_of(row) for row in rows[:size]], len(rows) > size

    async def list_users(self, team_id: TeamId) -> list[User]:
        """The users of a team, by role and then by age."""
        return [user_of(row) for row in await self._database.fetch(sql.USERS, team_id)]

    async def change_team(
        self, team_id: TeamId, change: Callable[[Team], Team], action: str, time: dt.datetime, actor: Actor, **why: str
    ) -> Team:
        """Give a team another plan or state, and tell the edges; nothing where it is so already.

        Raises NotFound (TEAM_NOT_FOUND).
        """
        async with self._change() as (connection, told):
            old = await _locked(connection, team_id)
            new = change(old)
            if new == old:
                return old
            await connection.execute(sql.CHANGE_TEAM, team_id, new.plan, new.suspended)
            moved = {"plan_before": old.plan, "plan_after": new.plan} if new.plan != old.plan else {}
            told += [team_change(team_id, time), actor.note(team_id, action, team_id, time, **moved, **why)]
        return new

    async def set_role(self, team_id: TeamId, user_id: UserId, role: Role, time: dt.datetime, actor: Actor) -> User:
        """Give a user another role; nothing where it is the same.

        Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW), NotFound (USER_NOT_FOUND), and Conflict (LAST_OWNER).
        """
        async with self._change() as (connection, told):
            user = await _leaving(connection, team_id, user_id, role)
            actor.require_change(user, role)
            if role is not user.role:
                await connection.execute(sql.SET_ROLE, team_id, user_id, role)
                roles = {"role_before": user.role.name.lower(), "role_after": role.name.lower()}
                told.append(actor.note(team_id, "user.role_changed", user_id, time, **roles))
        return replace(user, role=role)

    async def remove_user(self, team_id: TeamId, user_id: UserId, time: dt.datetime, actor: Actor) -> int:
        """Take a user out of a team, and end the keys; answers how many.

        Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW), NotFound (USER_NOT_FOUND), and Conflict (LAST_OWNER).
        """
        async with self._change() as (connection, told):
            user = await _leaving(connection, team_id, user_id, None)
            actor.require_change(user, None)
            await connection.execute(sql.REMOVE_USER, team_id, user_id, time)
            ended = [KeyId(str(row[0])) for row in await connection.fetch(sql.REVOKE_ALL, team_id, user_id, time)]
            told += [revocation(key_id, time) for key_id in ended]
            role = user.role.name.lower()
            told.append(
                actor.note(team_id, "user.removed", user_id, time, role_before=role, revoked_keys=str(len(ended)))
            )
        return len(ended)

    def _change(self) -> AbstractAsyncContextManager[tuple[Connection, list[Message]]]:
        return changing(self._database, self._outbox)


async def _locked(connection: Connection, team_id: TeamId) -> Team:
    """A team that nobody else changes before the commit."""
    rows = await connection.fetch(sql.LOCK_TEAM, team_id)
    if not rows:
        raise NotFound(f"There is no team {team_id}.", reason="TEAM_NOT_FOUND", field="team_id")
    return team_of(rows[0])


async def _leaving(connection: Connection, team_id: TeamId, user_id: UserId, role: Role | None) -> User:
    """The user who is to have another role, or none; an owner does not leave the team without one."""
    await _locked(connection, team_id)
    users = [user_of(row) for row in await connection.fetch(sql.USERS, team_id)]
    found = [user for user in users if user.user_id == user_id]
    if not found:
        raise NotFound(f"The team has no user {user_id}.", reason="USER_NOT_FOUND", field="user_id")
    owners = [user.user_id for user in users if user.role is Role.OWNER]
    if owners == [user_id] and role is not Role.OWNER:
        message = "This is the team's last owner: make another user an owner first."
        raise Conflict(message, reason="LAST_OWNER", field="user_id")
    return found[0]
