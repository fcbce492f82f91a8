"""Telling the audit trail what was done, in the commit that did it.

    messages = [audit_message(Deed.by(requester, "accounts", "key.revoked", key_id), now)]
    await outbox.insert(connection, messages)        # in the transaction of the change
    ...
    outbox.publish(messages)                         # after its commit

The trail of certificates drops a second event of the same id, so a repeat by the outbox adds nothing. The service that
tells needs a line in mesh/streams.py: `publishes=AUDIT.subjects, keeps=(AUDIT,)`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import uuid_utils.compat
from qm.audit.v1.audit_pb2 import OUTCOME_SUCCEEDED, AuditEvent, AuditEvents, Outcome
from qm.type.v1.requester_pb2 import Requester

from mesh.call import current
from mesh.events import Message
from mesh.streams import audit_subject
from mesh.timestamps import timestamp

_ACTION = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that was done to a thing of a team."""

    team_id: str
    service: str
    """The one that did it ("accounts")."""
    action: str
    """`<kind of object>.<participle>`: "key.revoked"."""
    object_id: str
    user_id: str = ""
    """Empty where nobody asked, or the operator did."""
    key_id: str = ""
    outcome: Outcome.ValueType = OUTCOME_SUCCEEDED
    request_id: str = ""
    """The public request behind it, where that is not the call being served."""
    address: str = ""
    """The client's IP address in that request."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What else a reader should know; never a secret."""

    def __post_init__(self) -> None:
        """Refuse a name that is no action: a reader filters by it."""
        if _ACTION.fullmatch(self.action) is None:
            raise ValueError(f"an action is named like key.revoked, not {self.action!r}")

    @classmethod
    def by(cls, requester: Requester, service: str, action: str, object_id: str, **details: str) -> Self:
        """What a requester had done to a thing of its own team."""
        return cls(
            team_id=requester.team_id,
            service=service,
            action=action,
            object_id=object_id,
            user_id=requester.user_id,
            key_id=requester.key_id,
            details=details,
        )


def audit_message(deed: Deed, moment: dt.datetime) -> Message:
    """The message for the outbox."""
    call = current()
    request_id, address = (call.request_id, call.address) if call else ("", "")
    if deed.request_id:
        request_id, address = deed.request_id, deed.address
    event = AuditEvent(
        event_id=str(uuid_utils.compat.uuid7()),
        team_id=deed.team_id,
        service=deed.service,
        user_id=deed.user_id,
        key_id=deed.key_id,
        action=deed.action,
        object_id=deed.object_id,
        outcome=deed.outcome,
        request_id=request_id,
        address=address,
        details=deed.details,
        create_time=timestamp(moment),
    )
    return Message(event.event_id, audit_subject(deed.team_id), AuditEvents(events=[event]).SerializeToString())
