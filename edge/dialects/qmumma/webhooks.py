"""Webhooks over HTTP: the secret that signs them, what was delivered, and sending it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from google.protobuf.duration_pb2 import Duration
from msgspec import UNSET, Meta, UnsetType
from qm.webhooks.v1 import webhooks_pb2 as pb

from edge.dialects.qmumma.idempotency import idempotency_key, own_key
from edge.dialects.qmumma.ids import JOB_ID_PATTERN, job_id_of, shown_job_id
from edge.dialects.qmumma.rendering import milliseconds, moment
from edge.dialects.qmumma.scalars import Count, JobIdText, Moment, Name
from edge.errors import Refusal
from edge.exchange import REPLAYED, Answer, Request, json_answer
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.webhooks.v1.webhooks_pb2_grpc import WebhooksServiceAsyncStub

DELIVERY_ID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_DELIVERY_ID = re.compile(DELIVERY_ID_PATTERN.strip("^$"))
DeliveryStatus = Literal["waiting", "delivered", "failed", "disabled"]
_STATUS: dict[int, DeliveryStatus] = {
    pb.DELIVERY_STATE_WAITING: "waiting",
    pb.DELIVERY_STATE_DELIVERED: "delivered",
    pb.DELIVERY_STATE_FAILED: "failed",
    pb.DELIVERY_STATE_DISABLED: "disabled",
}
_STATES = {status: pb.DeliveryState.ValueType(state) for state, status in _STATUS.items()}
_DeliveryIdText = Annotated[
    str,
    Meta(
        description="The delivery's id: `X-QMUMMA-Delivery` of every try.",
        pattern=DELIVERY_ID_PATTERN,
        examples=["0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f"],
    ),
]


class RotateSecret(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to replace the secret."""

    grace_seconds: Annotated[
        int,
        Meta(
            description="How long the old secret signs beside the new one, in `webhook-signature`; 0 ends it at once.",
            ge=0,
            le=604_800,
            examples=[86_400],
        ),
    ] = 86_400


class WebhookSecret(msgspec.Struct, kw_only=True):
    """The key that signs what your endpoints are sent."""

    secret: Annotated[
        str,
        Meta(
            description="The whole text is the key of `X-QMUMMA-Signature`; for Standard Webhooks it is what their "
            "libraries take.",
            pattern="^whsec_[A-Za-z0-9+/]{43}=$",
        ),
    ]
    created_at: Annotated[Moment, Meta(description="When it was made.")]
    previous_expires_at: (
        Annotated[Moment, Meta(description="Until when one before it signs too; absent where none does.")] | UnsetType
    ) = UNSET


class DeliveryAttempt(msgspec.Struct, kw_only=True):
    """One try."""

    attempted_at: Annotated[Moment, Meta(description="When it began.")]
    latency_ms: Annotated[Count, Meta(description="How long it took, rounded up.", examples=[84])]
    response_status: (
        Annotated[int, Meta(description="The status that was answered; absent without an answer.", ge=100, le=999)]
        | UnsetType
    ) = UNSET
    error: (
        Annotated[
            Literal[
                "timeout",
                "address_refused",
                "name_unknown",
                "connection_failed",
                "tls_failed",
                "connection_lost",
                "answer_malformed",
            ],
            Meta(description="Why there was no answer; absent with one."),
        ]
        | UnsetType
    ) = UNSET
    response_body: (
        Annotated[
            str,
            Meta(description="The beginning of the answer's body, without control characters.", max_length=1024),
        ]
        | UnsetType
    ) = UNSET


class Endpoint(msgspec.Struct, kw_only=True):
    """How a URL has fared."""

    url: Annotated[str, Meta(description="As the job named it.", max_length=2048)]
    failing_since: (
        Annotated[Moment, Meta(description="Since when nothing was taken; absent where the last try was.")] | UnsetType
    ) = UNSET
    disabled_at: (
        Annotated[Moment, Meta(description="When it was disabled: nothing is sent, until a retry by hand is taken.")]
        | UnsetType
    ) = UNSET


class Delivery(msgspec.Struct, kw_only=True):
    """One event for one URL."""

    delivery_id: _DeliveryIdText
    job_id: JobIdText
    event: Annotated[Name, Meta(description="What happened.", examples=["job.completed"])]
    status: Annotated[
        DeliveryStatus,
        Meta(description="`failed`: the schedule is over; `disabled`: its URL failed for five days and is not called."),
    ]
    created_at: Annotated[Moment, Meta(description="When the event was heard of.")]
    next_attempt_at: (
        Annotated[Moment, Meta(description="When it is tried again; absent where it is due, or never.")] | UnsetType
    ) = UNSET
    attempt_count: Annotated[Count, Meta(description="Tries on the present schedule.")]
    attempts: Annotated[list[DeliveryAttempt], Meta(description="The last ten tries, oldest first.", max_length=10)]
    endpoint: Annotated[Endpoint, Meta(description="Where it goes.")]


class DeliveryPage(msgspec.Struct, kw_only=True):
    """A page of deliveries, newest first."""

    deliveries: Annotated[list[Delivery], Meta(description="The deliveries.", max_length=100)]
    has_more: Annotated[bool, Meta(description="Whether there are older ones.")]


class ListDeliveries(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of the team's deliveries to list, newest first."""

    limit: Annotated[int, Meta(description="Deliveries on the page.", ge=1, le=100, examples=[20])] = 20
    after: (
        Annotated[
            str,
            Meta(
                description="Only deliveries older than this one: the last of the page before.",
                pattern=DELIVERY_ID_PATTERN,
                examples=["0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f"],
            ),
        ]
        | UnsetType
    ) = UNSET
    job_id: (
        Annotated[
            str,
            Meta(
                description="Only deliveries that tell of this job.",
                pattern=JOB_ID_PATTERN,
                examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
            ),
        ]
        | UnsetType
    ) = UNSET
    status: Annotated[DeliveryStatus, Meta(description="Only deliveries of this status.")] | UnsetType = UNSET


class Webhooks:
    """The operations on webhooks."""

    def __init__(self, webhooks: WebhooksServiceAsyncStub) -> None:
        """Call `webhooks`."""
        self._webhooks = webhooks

    async def secret(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/webhooks/secret`."""
        response = await self._webhooks.GetSecret(pb.GetSecretRequest(requester=request.requester))
        return json_answer(_secret(response.secret))

    async def rotate(self, request: Request[RotateSecret, Nothing]) -> Answer:
        """Answer `POST /v1/webhooks/secret/rotate`."""
        response = await self._webhooks.RotateSecret(
            pb.RotateSecretRequest(
                requester=request.requester,
                request_id=idempotency_key(request.headers) or own_key(),
                grace=Duration(seconds=request.body.grace_seconds),
            )
        )
        return json_answer(_secret(response.secret), status=201, headers=[REPLAYED] if response.replayed else None)

    async def list(self, request: Request[Nothing, ListDeliveries]) -> Answer:
        """Answer `GET /v1/webhooks/deliveries`."""
        query = request.query
        response = await self._webhooks.ListDeliveries(
            pb.ListDeliveriesRequest(
                requester=request.requester,
                page_size=query.limit,
                after_delivery_id="" if query.after is UNSET else query.after,
                job_id="" if query.job_id is UNSET else job_id_of(query.job_id) or "",
                state=pb.DELIVERY_STATE_UNSPECIFIED if query.status is UNSET else _STATES[query.status],
            )
        )
        return json_answer(
            DeliveryPage(deliveries=[_delivery(each) for each in response.deliveries], has_more=response.has_more)
        )

    async def retry(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `POST /v1/webhooks/deliveries/{delivery_id}/retry`."""
        response = await self._webhooks.RetryDelivery(
            pb.RetryDeliveryRequest(
                requester=request.requester,
                request_id=idempotency_key(request.headers) or own_key(),
                delivery_id=_path_delivery_id(request),
            )
        )
        return json_answer(_delivery(response.delivery), status=202, headers=[REPLAYED] if response.replayed else None)


def _path_delivery_id(request: Request[Any, Any]) -> str:
    shown = request.path["delivery_id"]
    if not _DELIVERY_ID.fullmatch(shown):
        message = "There is no such delivery. Ids are UUIDs in lower case."
        raise Refusal(404, message, param="delivery_id", reason="DELIVERY_NOT_FOUND")
    return shown


def _secret(secret: pb.Secret) -> WebhookSecret:
    return WebhookSecret(
        secret=secret.secret,
        created_at=moment(secret.create_time),
        previous_expires_at=(moment(secret.previous_expire_time) if secret.HasField("previous_expire_time") else UNSET),
    )


def _delivery(delivery: pb.Delivery) -> Delivery:
    return Delivery(
        delivery_id=delivery.delivery_id,
        job_id=shown_job_id(delivery.job_id),
        event=delivery.event,
        status=_STATUS[delivery.state],
        created_at=moment(delivery.create_time),
        next_attempt_at=moment(delivery.next_time) if delivery.HasField("next_time") else UNSET,
        attempt_count=delivery.attempt_count,
        attempts=[_attempt(each) for each in delivery.attempts],
        endpoint=Endpoint(
            url=delivery.url,
            failing_since=moment(delivery.failing_since) if delivery.HasField("failing_since") else UNSET,
            disabled_at=moment(delivery.disable_time) if delivery.HasField("disable_time") else UNSET,
        ),
    )


def _attempt(attempt: pb.Attempt) -> DeliveryAttempt:
    answered = attempt.status_code > 0
    return DeliveryAttempt(
        attempted_at=moment(attempt.create_time),
        latency_ms=milliseconds(attempt.latency),
        response_status=attempt.status_code if answered else UNSET,
        error=attempt.error or UNSET,  # type: ignore[arg-type] # one of the words that its type lists
        response_body=attempt.response if answered else UNSET,
    )
