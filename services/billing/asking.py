"""Who asks for another budget: an owner or admin of the team, by a live key, or the operator."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qm.accounts.v1 import accounts_pb2
from qm.billing.v1 import billing_pb2 as pb
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST, Requester

from mesh.audit import Deed, audit_message
from mesh.call import Call
from mesh.errors import InvalidArgument, PermissionDenied
from mesh.events import Message
from services.billing.hold import TeamId
from services.billing.messages import team_id_of

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change of a team's limits; without a requester it is the operator."""

    team_id: TeamId
    requester: Requester | None = None

    def note(self, action: str, time: dt.datetime, **details: str) -> Message:
        """The line of the audit trail about it."""
        if self.requester is not None:
            return audit_message(Deed.by(self.requester, "billing", action, self.team_id, **details), time)
        details = {"by": "operator", **details}
        deed = Deed(team_id=self.team_id, service="billing", action=action, object_id=self.team_id, details=details)
        return audit_message(deed, time)


class Members:
    """Asks accounts who somebody is."""

    def __init__(self, accounts: AccountsServiceAsyncStub) -> None:
        """Ask `accounts`."""
        self._accounts = accounts

    async def actor(self, request: pb.SetBudgetRequest, call: Call) -> Actor:
        """Who asks.

        Raises InvalidArgument (REQUESTER_MISSING), and PermissionDenied (NOT_A_MEMBER, KEY_TOO_LOW, ROLE_TOO_LOW).
        """
        team_id = team_id_of(request.team_id)
        if not request.HasField("requester"):
            if call.caller == "operator":
                return Actor(team_id)
            message = "requester: only the operator asks for nobody"
            raise InvalidArgument(message, reason="REQUESTER_MISSING", field="requester")
        requester = request.requester
        if requester.environment == ENVIRONMENT_TEST:
            message = "A test key may not change the team's budget: use a live key."
            raise PermissionDenied(message, reason="KEY_TOO_LOW")
        member = await self._accounts.GetMember(
            accounts_pb2.GetMemberRequest(team_id=request.team_id, requester=requester)
        )
        if member.role not in {accounts_pb2.ROLE_OWNER, accounts_pb2.ROLE_ADMIN}:
            message = "Only an owner or an admin of the team changes its budget; ask one of them."
            raise PermissionDenied(message, reason="ROLE_TOO_LOW")
        return Actor(team_id, requester)
