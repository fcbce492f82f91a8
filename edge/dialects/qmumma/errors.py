"""Error bodies of the Q-MUMMA dialect: `{"error": {type, message, request_id, param?, doc_url}}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edge.dialects.qmumma.scalars import Name, Sentence
from edge.errors import Refusal
from edge.values import encode


class Kind(msgspec.Struct, frozen=True):
    """One value of `type`, and what it means."""

    type: str
    statuses: tuple[int, ...]
    meaning: str
    advice: str


KINDS: tuple[Kind, ...] = (
    Kind(
        "bad_request",
        (400, 408),
        "The request is malformed, or a field is missing, unknown or out of range; `param` names it.",
        "Correct the request. Nothing was stored or billed.",
    ),
    Kind(
        "unauthorized",
        (401,),
        "The API key is missing, malformed, unknown, expired or revoked.",
        "Send `Authorization: Bearer <key>` with a key that holds.",
    ),
    Kind(
        "payment_required",
        (402,),
        "The team's budget of the month does not cover it; nothing was held.",
        "Wait for the next month, or have an owner or admin of the team raise it with `PUT /v1/billing/budget`.",
    ),
    Kind(
        "forbidden",
        (403,),
        "The plan does not include this, or its jobs of the month are used up; or the user's role or the key does not "
        "allow it; or the team is suspended.",
        "Do without, or ask an owner of the team, or your operator.",
    ),
    Kind(
        "not_found",
        (404,),
        "The path, or what it names, does not exist, or it belongs to another team.",
        "Check the id and the key.",
    ),
    Kind(
        "method_not_allowed",
        (405,),
        "The path does not take this method; `Allow` lists those that it takes.",
        "Use another method.",
    ),
    Kind(
        "conflict",
        (409,),
        "The state of the job or key, or an earlier request with the same `Idempotency-Key`, is in the way.",
        "Read the message; where it is about the `Idempotency-Key`, choose another.",
    ),
    Kind("too_large", (413,), "The body is larger than 4 MiB.", "Send less."),
    Kind("unsupported_media_type", (415,), "The body is not plain `application/json`.", "Set `Content-Type`."),
    Kind(
        "rate_limited",
        (429,),
        "More requests than the plan allows, or too many open streams.",
        "Wait for `Retry-After` seconds, then go on more slowly.",
    ),
    Kind(
        "server_error",
        (500,),
        "Something went wrong on our side.",
        "Try again with exponential back-off, with the same `Idempotency-Key`; if it stays, tell your operator the "
        "request id.",
    ),
    Kind(
        "hardware_unavailable",
        (503,),
        "The requested hardware is offline, or a part of the service does not answer at the moment; the message says "
        "which.",
        'Ask for `"auto"`, which fails over, or try again after `Retry-After` seconds, with the same '
        "`Idempotency-Key`.",
    ),
)
KIND_BY_STATUS = {status: kind for kind in KINDS for status in kind.statuses}
_PARAM_BY_PROTO_FIELD = {
    "shot_count": "shots",
    "max_cost": "max_cost_usd",
    "request_id": "Idempotency-Key",
    "leaf_hash": "txid",
    "path": "tile",
    "beacon_index": "index",
    "test_faults": "X-Test-Fault",
    "bit_count": "bits",
}


class ErrorDetail(msgspec.Struct):
    """What went wrong."""

    type: Annotated[Name, Meta(description="A stable word to branch on.", examples=["bad_request"])]
    message: Annotated[Sentence, Meta(description="What is wrong and what to do, for people; its wording may change.")]
    request_id: Annotated[str, Meta(description="The `X-Request-Id` of this exchange.", max_length=128)]
    doc_url: Annotated[Sentence, Meta(description="Where this `type` is explained.")]
    param: (
        Annotated[
            str,
            Meta(
                description="The field to blame, as a path such as `parameters.molecule`.",
                examples=["shots"],
                max_length=200,
            ),
        ]
        | UnsetType
    ) = UNSET


class ErrorBody(msgspec.Struct):
    """The body of every answer with a status of 400 or more."""

    error: Annotated[ErrorDetail, Meta(description="What went wrong.")]


def kind_of(refusal: Refusal) -> Kind:
    """The `type` of a refusal."""
    return KIND_BY_STATUS.get(refusal.status) or KIND_BY_STATUS[500 if refusal.status >= 500 else 400]  # noqa: PLR2004


def statuses_text(kind: Kind) -> str:
    """The statuses that a `type` comes with, in words."""
    return " or ".join(str(status) for status in kind.statuses)


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
