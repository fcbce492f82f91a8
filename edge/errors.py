"""What the edge answers when it does not do what was asked.

A `Refusal` is an HTTP answer without a body: status, message, and the parameter to blame. Whatever the mesh raises is
turned into one by the tables here; each dialect only words its body. What is neither a Refusal nor a MeshError is a bug
and becomes a mute 500, as do errors that speak of the mesh itself and not of the request.
"""

from __future__ import annotations

from mesh import errors as mesh

Headers = tuple[tuple[bytes, bytes], ...]

STATUS_BY_CLASS: dict[type[mesh.MeshError], int] = {
    mesh.InvalidArgument: 400,
    mesh.Unauthenticated: 401,
    mesh.PaymentRequired: 402,
    mesh.PermissionDenied: 403,
    mesh.NotFound: 404,
    mesh.Conflict: 409,
    mesh.ResourceExhausted: 429,
    mesh.Internal: 500,
    mesh.Unavailable: 503,
    mesh.DeadlineExceeded: 503,
    mesh.Cancelled: 503,
}
"""The status of a MeshError, where its reason has none of its own."""

STATUS_BY_REASON: dict[str, int] = {
    # The mesh refused the edge itself: our configuration is wrong, not the request.
    "CALLER_NOT_ALLOWED": 500,
    "UNKNOWN_PEER": 500,
    "UNKNOWN_METHOD": 500,
    "MALFORMED_REQUEST": 500,
    "TOO_LARGE": 413,
}
"""The status of a reason, whatever its class."""

UNREACHABLE = "A part of the service does not answer at the moment. Try again shortly."
_RETRY_SECONDS = {429: "1", 503: "2"}


class Refusal(Exception):
    """An answer with a status of 400 or more. `message` is fit for the public."""

    def __init__(self, status: int, message: str, *, param: str = "", reason: str = "", headers: Headers = ()) -> None:
        """Refuse; `param` is the public path of the field to blame, `reason` the mesh's word for it."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.reason = reason
        self.headers = headers


def mute(reason: str = "") -> Refusal:
    """The answer to a bug: it tells nothing."""
    return Refusal(500, mesh.MUTE, reason=reason)


def refusal_of(error: mesh.MeshError) -> Refusal:
    """The public side of an error of the mesh."""
    status = STATUS_BY_REASON.get(error.reason) or STATUS_BY_CLASS.get(type(error), 500)
    if status == 500:  # noqa: PLR2004 - the status itself
        return mute(error.reason)
    headers: Headers = ()
    if status in _RETRY_SECONDS:
        seconds = error.metadata.get("retry_after_seconds", _RETRY_SECONDS[status])
        headers = ((b"retry-after", seconds.encode()),)
    # The words of a broken connection name peers and methods of the mesh: they are not for the public.
    spoken = error.reason not in _TRANSPORT_REASONS
    return Refusal(
        status,
        error.message if spoken else UNREACHABLE,
        param=error.field,
        reason=error.reason,
        headers=headers,
    )


_TRANSPORT_REASONS = frozenset({"PEER_UNAVAILABLE", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "SHUTTING_DOWN"})
