"""What can go wrong in the mesh, and how it travels.

    MeshError
    ├── InvalidArgument      the caller sent something that can never work; `field` names it
    ├── Unauthenticated      nobody, or nobody we know
    ├── PermissionDenied     known, but not allowed
    ├── PaymentRequired      allowed, but the money is not there
    ├── NotFound             not there, or another team's
    ├── Conflict             the state or an earlier request is in the way
    ├── ResourceExhausted    too much, too fast or too large
    ├── Unavailable          a dependency is down; trying again can help
    ├── DeadlineExceeded     the time was up
    └── Cancelled            the caller went away

A class maps to one gRPC status (`Unavailable` ↔ UNAVAILABLE). `reason` is the stable UPPER_SNAKE word that dialects and
tests key on. It rides with the field and the metadata as a `google.rpc.ErrorInfo` in the status details.
Whatever is not a MeshError is a bug: callers see a mute `Internal`, the log has the trace.
"""

from __future__ import annotations

from typing import Any, ClassVar

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "qmumma"
DETAILS_KEY = "grpc-status-details-bin"


class MeshError(Exception):
    """An expected failure. `message` is fit for the public: it says what is wrong and what to do next."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, *, reason: str, field: str = "", metadata: dict[str, str] | None = None) -> None:
        """Make an error; `field` is a path such as `parameters.molecule`, empty where no field is to blame.

        `metadata` is for programs; its key "field" is taken by the field.
        """
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.metadata = metadata or {}


class InvalidArgument(MeshError):
    """The request can never work as it is."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(MeshError):
    """The caller is unknown."""

    status = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(MeshError):
    """The caller is known and may not do this."""

    status = grpc.StatusCode.PERMISSION_DENIED


class PaymentRequired(MeshError):
    """A budget or balance does not cover the request; gRPC has no word of its own for that."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class NotFound(MeshError):
    """It does not exist, or it belongs to another team: both look the same."""

    status = grpc.StatusCode.NOT_FOUND


class Conflict(MeshError):
    """An earlier request or the current state is in the way."""

    status = grpc.StatusCode.ALREADY_EXISTS


class ResourceExhausted(MeshError):
    """A limit of rate, size or capacity was passed."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(MeshError):
    """A dependency is down or refuses for the moment; the same request may work later."""

    status = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(MeshError):
    """The time that the caller gave was up. Whether the work was done is unknown."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(MeshError):
    """The caller cancelled."""

    status = grpc.StatusCode.CANCELLED


class Internal(MeshError):
    """A bug on the other side. The message tells nothing on purpose."""

    status = grpc.StatusCode.INTERNAL


CLASSES: tuple[type[MeshError], ...] = (
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    PaymentRequired,
    NotFound,
    Conflict,
    ResourceExhausted,
    Unavailable,
    DeadlineExceeded,
    Cancelled,
    Internal,
)
_BY_CODE: dict[int, type[MeshError]] = {cls.status.value[0]: cls for cls in CLASSES}
MUTE = "Something went wrong on our side. Try again; if it stays, tell us the request id."
LONGEST_TEXT = 2000
"""Characters of a message or a value that travel: gRPC carries errors in HTTP headers, whose size both sides bound."""


def to_status(error: BaseException) -> status_pb2.Status:
    """The wire form of any exception, itself raising none; what is not a MeshError becomes a mute Internal."""
    if not isinstance(error, MeshError):
        return status_pb2.Status(code=code_pb2.INTERNAL, message=MUTE)
    status = status_pb2.Status(code=error.status.value[0], message=_fit(error.message))
    metadata = {key: _fit(value) for key, value in error.metadata.items()}
    if error.field:
        metadata[_FIELD_KEY] = _fit(error.field)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    return status


def from_status(status: status_pb2.Status) -> MeshError:
    """The exception that `to_status` was given, as far as the wire tells."""
    cls = _BY_CODE.get(status.code, Internal)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    metadata = dict(info.metadata)
    field = metadata.pop(_FIELD_KEY, "")
    reason = info.reason or cls.status.name
    return cls(status.message, reason=reason, field=field, metadata=metadata)


def from_rpc_error(error: grpc.aio.AioRpcError) -> MeshError:
    """The MeshError behind an error of a gRPC call: the one that the peer raised, or one for what gRPC itself met."""
    trailers: Any = error.trailing_metadata()
    for key, value in trailers or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    code = error.code()
    cls = _BY_CODE.get(code.value[0], Internal)
    # gRPC's own words name addresses and sockets; they stay in `error`, the cause.
    message, reason = _BY_GRPC_ITSELF.get(code, (MUTE if cls is Internal else code.value[1], code.name))
    return cls(message, reason=reason)


def peer_unavailable(peer: str) -> Unavailable:
    """The error for a service that cannot be reached, or whose connection broke."""
    return Unavailable(f"{peer} does not answer", reason="PEER_UNAVAILABLE")


_FIELD_KEY = "field"
_BY_GRPC_ITSELF: dict[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("a service does not answer", "PEER_UNAVAILABLE"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("the time was up", "DEADLINE_EXCEEDED"),
    grpc.StatusCode.UNIMPLEMENTED: (MUTE, "UNKNOWN_METHOD"),
}
"""Message and reason for what gRPC says without the peer."""


def _fit(text: str) -> str:
    """The text as it can travel: not too long, and valid UTF-8 (a lone surrogate becomes a question mark)."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
