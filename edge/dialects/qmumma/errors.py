"""Error bodies of the Q-MUMMA dialect: `{"error": {type, message, request_id, param?, doc_url}}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.errors import Refusal
from edge.values import encode


class Kind(msgspec.Struct, frozen=True):
    """One value of `type`, and what it means."""

    type: str
    meaning: str
    advice: str


KIND_BY_STATUS: dict[int, Kind] = {
    400: Kind(
        "bad_request",
        "The request is malformed, or a field is missing, unknown or out of range; `param` names it.",
        "Correct the request. Nothing was stored or billed.",
    ),
    401: Kind(
        "unauthorized",
        "The API key is missing, malformed, unknown, expired or revoked.",
        "Send `Authorization: Bearer <key>` with a key that holds.",
    ),
    402: Kind(
        "payment_required",
        "The team's budget does not cover the job.",
        "Raise the budget, or ask for less.",
    ),
    403: Kind(
        "forbidden",
        "The plan does not include this, or its jobs of the month are used up.",
        "Change the plan.",
    ),
    404: Kind(
        "not_found",
        "The path, job, algorithm or log entry does not exist, or it belongs to another team.",
        "Check the id and the key.",
    ),
    405: Kind(
        "method_not_allowed",
        "The path does not take this method; `Allow` lists those that it takes.",
        "Use another method.",
    ),
    409: Kind(
        "conflict",
        "The job's state, or an earlier request with the same `Idempotency-Key` and another body, is in the way.",
        "Read the job, or choose another key.",
    ),
    413: Kind("too_large", "The body is larger than 4 MiB.", "Send less."),
    415: Kind("unsupported_media_type", "The body is not plain `application/json`.", "Set `Content-Type`."),
    429: Kind(
        "rate_limited",
        "More requests than the plan allows, or too many open streams.",
        "Wait for `Retry-After` seconds, then go on more slowly.",
    ),
    500: Kind(
        "server_error",
        "Something went wrong on our side, or (with status 503) a part of the service does not answer.",
        "Try again with exponential back-off, with the same `Idempotency-Key`; if it stays, tell us the request id.",
    ),
}
HARDWARE_UNAVAILABLE = Kind(
    "hardware_unavailable",
    "The requested hardware is offline.",
    'Ask for `"auto"`, which fails over, or try again after `Retry-After` seconds.',
)
KINDS: tuple[Kind, ...] = (*KIND_BY_STATUS.values(), HARDWARE_UNAVAILABLE)
_PARAM_BY_PROTO_FIELD = {
    "shot_count": "shots",
    "max_cost": "max_cost_usd",
    "request_id": "Idempotency-Key",
    "leaf_hash": "txid",
}


class ErrorDetail(msgspec.Struct):
    """What went wrong."""

    type: Annotated[str, Meta(description="A stable word to branch on.", examples=["bad_request"])]
    message: Annotated[str, Meta(description="What is wrong and what to do, for people; its wording may change.")]
    request_id: Annotated[str, Meta(description="The `X-Request-Id` of this exchange.", max_length=128)]
    doc_url: Annotated[str, Meta(description="Where this `type` is explained.")]
    param: (
        Annotated[
            str,
            Meta(description="The field to blame, as a path such as `parameters.molecule`.", examples=["shots"]),
        ]
        | UnsetType
    ) = UNSET


class ErrorBody(msgspec.Struct):
    """The body of every answer with a status of 400 or more."""

    error: Annotated[ErrorDetail, Meta(description="What went wrong.")]


def kind_of(refusal: Refusal) -> Kind:
    """The `type` of a refusal."""
    if refusal.reason == "HARDWARE_UNAVAILABLE" and refusal.status == 503:  # noqa: PLR2004 - the status itself
        return HARDWARE_UNAVAILABLE
    return KIND_BY_STATUS.get(refusal.status) or KIND_BY_STATUS[500 if refusal.status >= 500 else 400]  # noqa: PLR2004


def error_bodies(public_url: str) -> Callable[[Refusal, str], bytes]:
    """Words the refusals of an edge that clients reach at `public_url`."""

    def error_body(refusal: Refusal, request_id: str) -> bytes:
        kind = kind_of(refusal)
        param = _PARAM_BY_PROTO_FIELD.get(refusal.param, refusal.param)
        detail = ErrorDetail(
            type=kind.type,
            message=refusal.message,
            request_id=request_id,
            doc_url=f"{public_url}/docs/errors#{kind.type}",
            param=param or UNSET,
        )
        return encode(ErrorBody(detail))

    return error_body
