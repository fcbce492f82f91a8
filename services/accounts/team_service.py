"""The RPCs about teams and their users: check, decide, answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from qm.accounts.v1 import teams_pb2 as pb

from mesh.call import Call
from mesh.errors import NotFound
from services.accounts.actor import OPERATOR
from services.accounts.asking import actor_of, require_plain
from services.accounts.messages import team_id_of, team_message, user_id_of, user_message
from services.accounts.team import Team
from services.accounts.team_store import TeamStore
from services.accounts.user import Role

_MOST_LISTED = 100


class TeamsService:
    """Answers qm.accounts.v1.TeamsService."""

    def __init__(self, store: TeamStore, *, clock: Callable[[], dt.datetime]) -> None:
        """Keep everything in `store`; `clock` tells the time in UTC."""
        self._store = store
        self._clock = clock

    async def ListTeams(self, request: pb.ListTeamsRequest, _call: Call) -> pb.ListTeamsResponse:
        """List teams, newest first."""
        require_plain(query=request.query)
        after = team_id_of(request.after_team_id) if request.after_team_id else None
        teams, has_more = await self._store.list_teams(after, request.query, request.page_size or _MOST_LISTED)
        return pb.ListTeamsResponse(teams=map(team_message, teams), has_more=has_more)

    async def GetTeam(self, request: pb.GetTeamRequest, _call: Call) -> pb.GetTeamResponse:
        """Return a team. Raises NotFound (TEAM_NOT_FOUND)."""
        team = await self._store.find_team(team_id_of(request.team_id))
        if team is None:
            raise NotFound(f"There is no team {request.team_id}.", reason="TEAM_NOT_FOUND", field="team_id")
        return pb.GetTeamResponse(team=team_message(team))

    async def SetPlan(self, request: pb.SetPlanRequest, _call: Call) -> pb.SetPlanResponse:
        """Give a team another plan. Raises NotFound (TEAM_NOT_FOUND)."""
        team = await self._changed(request.team_id, lambda old: replace(old, plan=request.plan), "team.plan_changed")
        return pb.SetPlanResponse(team=team_message(team))

    async def SuspendTeam(self, request: pb.SuspendTeamRequest, _call: Call) -> pb.SuspendTeamResponse:
        """Refuse every key of a team. Raises NotFound (TEAM_NOT_FOUND)."""
        require_plain(reason=request.reason)
        team = await self._changed(
            request.team_id, lambda old: replace(old, suspended=True), "team.suspended", reason=request.reason
        )
        return pb.SuspendTeamResponse(team=team_message(team))

    async def ResumeTeam(self, request: pb.ResumeTeamRequest, _call: Call) -> pb.ResumeTeamResponse:
        """Take a team's keys again. Raises NotFound (TEAM_NOT_FOUND)."""
        team = await self._changed(request.team_id, lambda old: replace(old, suspended=False), "team.resumed")
        return pb.ResumeTeamResponse(team=team_message(team))

    async def ListUsers(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        """List a team's users. Raises PermissionDenied (NOT_A_MEMBER)."""
        await actor_of(request, call, self._store)
        users = await self._store.list_users(team_id_of(request.team_id))
        return pb.ListUsersResponse(users=map(user_message, users))

    async def SetRole(self, request: pb.SetRoleRequest, call: Call) -> pb.SetRoleResponse:
        """Give a user another role. Raises what `TeamStore.set_role` raises."""
        actor = await actor_of(request, call, self._store)
        team_id, user_id = team_id_of(request.team_id), user_id_of(request.user_id)
        user = await self._store.set_role(team_id, user_id, Role(request.role), self._clock(), actor)
        return pb.SetRoleResponse(user=user_message(user))

    async def RemoveUser(self, request: pb.RemoveUserRequest, call: Call) -> pb.RemoveUserResponse:
        """Take a user out of a team. Raises what `TeamStore.remove_user` raises."""
        actor = await actor_of(request, call, self._store)
        team_id, user_id = team_id_of(request.team_id), user_id_of(request.user_id)
        count = await self._store.remove_user(team_id, user_id, self._clock(), actor)
        return pb.RemoveUserResponse(revoked_key_count=count)

    async def _changed(self, team_id: str, change: Callable[[Team], Team], action: str, **why: str) -> Team:
        return await self._store.change_team(team_id_of(team_id), change, action, self._clock(), OPERATOR, **why)
