"""Requests that were served already: a repeat returns the first answer, another request of the same id is refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import Message

from mesh.errors import Conflict


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request by which a repeat is known."""

    scope: str
    """The method, and the team where there is one: ids of different callers do not meet."""
    request_id: str
    fingerprint: bytes
    """Of the whole content; another content is another request."""

    @classmethod
    def of(cls, scope: str, request_id: str, request: Message) -> Repeatable:
        """The repeatable form of a protobuf request."""
        content = request.SerializeToString(deterministic=True)
        return cls(scope, request_id, hashlib.sha256(content).digest())

    def require_same(self, fingerprint: bytes) -> None:
        """Raise Conflict (REQUEST_ID_REUSED) unless the stored fingerprint is this one's."""
        if fingerprint != self.fingerprint:
            raise Conflict(
                f"The request id {self.request_id!r} was used for another request.",
                reason="REQUEST_ID_REUSED",
                field="request_id",
            )
