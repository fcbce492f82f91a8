"""The declarations of the operations on webhooks."""

from __future__ import annotations

from edge.dialects.qmumma.examples import JOB_ID, one
from edge.dialects.qmumma.headers import IDEMPOTENCY_KEY, KEY_CONFLICT, REPLAYED
from edge.dialects.qmumma.links import next_page, of_delivery
from edge.dialects.qmumma.webhooks import (
    DELIVERY_ID_PATTERN,
    Delivery,
    DeliveryPage,
    ListDeliveries,
    RotateSecret,
    Webhooks,
    WebhookSecret,
)
from edge.operations import Nothing, Operation, Outcome, PathField

_ID = "0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f"
_SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=", "created_at": "2026-11-21T04:00:00Z"}
_ROTATED = {**_SECRET, "previous_expires_at": "2026-11-22T04:00:00Z"}
_DELIVERY = {
    "delivery_id": _ID,
    "job_id": JOB_ID,
    "event": "job.completed",
    "status": "waiting",
    "created_at": "2026-11-21T04:00:00.125Z",
    "next_attempt_at": "2026-11-21T04:05:05.5Z",
    "attempt_count": 2,
    "attempts": [
        {"attempted_at": "2026-11-21T04:00:00.13Z", "latency_ms": 212, "response_status": 502, "response_body": "no"},
        {"attempted_at": "2026-11-21T04:00:05.4Z", "latency_ms": 15001, "error": "timeout"},
    ],
    "endpoint": {"url": "https://your.app/hook", "failing_since": "2026-11-21T04:00:00.342Z"},
}
_DISABLED = {
    **{name: value for name, value in _DELIVERY.items() if name != "next_attempt_at"},
    "status": "disabled",
    "endpoint": {**_DELIVERY["endpoint"], "disabled_at": "2026-11-26T04:00:00.342Z"},  # type: ignore[dict-item]
}


def webhook_operations(webhooks: Webhooks) -> list[Operation]:
    """Everything under `/v1/webhooks`."""
    return [_secret(webhooks), _rotate(webhooks), _list(webhooks), _retry(webhooks)]


def _secret(webhooks: Webhooks) -> Operation:
    return Operation(
        id="getWebhookSecret",
        method="GET",
        path="/v1/webhooks/secret",
        handler=webhooks.secret,
        tag="Webhooks",
        summary="Read the secret that signs webhooks",
        description="One for the team, made when it is first needed. `X-QMUMMA-Signature` is `sha256=` and the "
        "hexadecimal HMAC-SHA256 of the raw body under it; the headers of Standard Webhooks come too.",
        outcomes=(
            Outcome(
                status=200,
                description="The secret.",
                kind=WebhookSecret,
                examples=one("A secret", _SECRET),
            ),
        ),
    )


def _rotate(webhooks: Webhooks) -> Operation:
    return Operation(
        id="rotateWebhookSecret",
        method="POST",
        path="/v1/webhooks/secret/rotate",
        handler=webhooks.rotate,
        tag="Webhooks",
        summary="Replace the secret that signs webhooks",
        description="`X-QMUMMA-Signature` is by the new one at once. `webhook-signature` holds a signature by each of "
        "both for `grace_seconds`. The body may be empty.",
        body=RotateSecret,
        body_optional=True,
        body_examples=one("An hour to change over", {"grace_seconds": 3600}),
        header_fields=(IDEMPOTENCY_KEY,),
        outcomes=(
            Outcome(
                status=201,
                description="The new secret.",
                kind=WebhookSecret,
                headers=REPLAYED,
                examples=one("A new secret", _ROTATED),
            ),
        ),
        errors={409: KEY_CONFLICT},
    )


def _list(webhooks: Webhooks) -> Operation:
    return Operation(
        id="listWebhookDeliveries",
        method="GET",
        path="/v1/webhooks/deliveries",
        handler=webhooks.list,
        tag="Webhooks",
        summary="List deliveries",
        description="What was sent to the webhooks of the team's jobs, newest first, with each try. Kept for 30 days "
        "unless the operator says otherwise. For the next page, pass the last delivery's id as `after`.",
        query=ListDeliveries,
        outcomes=(
            Outcome(
                status=200,
                description="A page of deliveries.",
                kind=DeliveryPage,
                examples=one("A page", {"deliveries": [_DELIVERY, _DISABLED], "has_more": False}),
                links=(
                    *of_delivery("/deliveries/0/delivery_id"),
                    *next_page("listWebhookDeliveries", "/deliveries/0/delivery_id"),
                ),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it."},
    )


def _retry(webhooks: Webhooks) -> Operation:
    return Operation(
        id="retryWebhookDelivery",
        method="POST",
        path="/v1/webhooks/deliveries/{delivery_id}/retry",
        handler=webhooks.retry,
        tag="Webhooks",
        summary="Send a delivery again",
        description="At once, with the same id and body, on a fresh schedule. One that is due or under way stays as "
        "it is. Where its URL is disabled and takes it, the URL is enabled. The body may be empty.",
        body=Nothing,
        body_optional=True,
        body_examples=one("Nothing to say", {}),
        path_fields=(
            PathField(
                name="delivery_id",
                description="The delivery's id. A delivery of another team does not exist for you.",
                schema={"type": "string", "pattern": DELIVERY_ID_PATTERN},
                example=_ID,
            ),
        ),
        header_fields=(IDEMPOTENCY_KEY,),
        outcomes=(
            Outcome(
                status=202,
                description="The delivery as it is now.",
                kind=Delivery,
                headers=REPLAYED,
                examples=one("On its way", _DELIVERY),
                links=of_delivery("/delivery_id"),
            ),
        ),
        errors={404: "There is no such delivery, or it belongs to another team.", 409: KEY_CONFLICT},
    )
