"""What every request that changes something is asked first: who sends it, and whether its words can be kept."""

from __future__ import annotations

import re

from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1 import teams_pb2

from mesh.call import Call
from mesh.errors import InvalidArgument, PermissionDenied
from services.accounts.actor import OPERATOR, Actor, Member
from services.accounts.key import Environment
from services.accounts.messages import key_id_of, team_id_of, user_id_of
from services.accounts.team_store import TeamStore

Asked = (
    pb.CreateUserRequest
    | pb.CreateKeyRequest
    | pb.ListKeysRequest
    | pb.RotateKeyRequest
    | pb.RevokeKeyRequest
    | pb.SetProviderSecretRequest
    | pb.ListProviderSecretsRequest
    | pb.DeleteProviderSecretRequest
    | pb.GetMemberRequest
    | teams_pb2.ListUsersRequest
    | teams_pb2.SetRoleRequest
    | teams_pb2.RemoveUserRequest
)
"""Requests that say who asks."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def actor_of(request: Asked, call: Call, teams: TeamStore) -> Actor:
    """Who asks: the operator under its own identity, everybody else by a key of the team.

    Raises InvalidArgument (REQUESTER_MISSING), and PermissionDenied (NOT_A_MEMBER).
    """
    if not request.HasField("requester"):
        if call.caller == "operator":
            return OPERATOR
        message = "requester: only the operator asks for nobody"
        raise InvalidArgument(message, reason="REQUESTER_MISSING", field="requester")
    requester = request.requester
    user_id = user_id_of(requester.user_id)
    role = await teams.role(team_id_of(request.team_id), user_id)
    if role is None or requester.team_id != request.team_id:
        raise PermissionDenied("The key's user is not of this team.", reason="NOT_A_MEMBER")
    return Actor(Member(user_id, key_id_of(requester.key_id), role, Environment(requester.environment)))


def require_plain(**texts: str) -> None:
    """Refuse control characters, which no name needs and PostgreSQL does not keep (INVALID_CHARACTER)."""
    for field, text in texts.items():
        if _CONTROL.search(text):
            raise InvalidArgument(
                f"{field}: control characters are not allowed.", reason="INVALID_CHARACTER", field=field
            )
