"""Requests that were served already: a repeat returns the first answer, another request of the same id is refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import Message

from mesh.errors import Conflict
from mesh.vault import SealedSecret


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request by which a repeat is known."""

    scope: str
    """The method, and the team and the user where there are any: ids of different callers do not meet."""
    request_id: str
    fingerprint: bytes
    """Of the whole content; another content is another request."""

    @classmethod
    def of(cls, scope: str, request_id: str, request: Message) -> Repeatable:
        """The repeatable form of a protobuf request; by which key it was asked makes no other request of it."""
        asked = type(request)()
        asked.CopyFrom(request)
        if "requester" in asked.DESCRIPTOR.fields_by_name:
            asked.ClearField("requester")
        content = asked.SerializeToString(deterministic=True)
        return cls(scope, request_id, hashlib.sha256(content).digest())

    def require_same(self, fingerprint: bytes) -> None:
        """Raise Conflict (REQUEST_ID_REUSED) unless the stored fingerprint is this one's."""
        if fingerprint != self.fingerprint:
            raise Conflict(
                f"The request id {self.request_id!r} was used for another request.",
                reason="REQUEST_ID_REUSED",
                field="request_id",
            )


@dataclass(frozen=True, slots=True)
class Made:
    """What an earlier request made."""

    made_id: str
    secret: SealedSecret | None
    """The secret that it was answered with, for as long as it is told again."""
