"""Between the domain's values and the wire."""

from __future__ import annotations

import datetime as dt

from qm.webhooks.v1 import webhooks_pb2 as pb

from mesh.timestamps import timestamp
from services.webhooks.delivery import WAITING, Attempt, Delivery, State

STATES: dict[int, tuple[State, ...]] = {
    pb.DELIVERY_STATE_WAITING: WAITING,
    pb.DELIVERY_STATE_DELIVERED: (State.DELIVERED,),
    pb.DELIVERY_STATE_FAILED: (State.FAILED,),
    pb.DELIVERY_STATE_DISABLED: (State.DISABLED,),
}
_TOLD = {state: pb.DeliveryState.ValueType(told) for told, states in STATES.items() for state in states}


def delivery_message(delivery: Delivery) -> pb.Delivery:
    """A delivery as it is told."""
    message = pb.Delivery(
        delivery_id=delivery.delivery_id,
        job_id=delivery.job_id,
        event=delivery.event,
        url=delivery.url,
        state=_TOLD[delivery.state],
        create_time=timestamp(delivery.create_time),
        attempt_count=delivery.attempt_count,
        attempts=map(_attempt_message, delivery.attempts),
    )
    if delivery.state is State.LATER:
        message.next_time.FromDatetime(delivery.due_time)
    if delivery.failing_since is not None:
        message.failing_since.FromDatetime(delivery.failing_since)
    if delivery.disable_time is not None:
        message.disable_time.FromDatetime(delivery.disable_time)
    return message


def secret_message(secret: str, create_time: dt.datetime, previous_expire_time: dt.datetime | None) -> pb.Secret:
    """A secret as it is shown."""
    message = pb.Secret(secret=secret, create_time=timestamp(create_time))
    if previous_expire_time is not None:
        message.previous_expire_time.FromDatetime(previous_expire_time)
    return message


def _attempt_message(attempt: Attempt) -> pb.Attempt:
    message = pb.Attempt(
        create_time=timestamp(attempt.create_time),
        status_code=attempt.status_code,
        error=attempt.error,
        response=attempt.response,
    )
    message.latency.FromTimedelta(attempt.latency)
    return message
