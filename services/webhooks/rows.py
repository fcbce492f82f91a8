"""Between values and rows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import asyncpg

from mesh.audit import Deed
from services.webhooks.delivery import Attempt, DeliveryId, EndpointId, Sending, TeamId
from services.webhooks.sealed import Sealed, StoredSecret


def sending_of(row: asyncpg.Record) -> Sending:
    """A delivery that was taken up."""
    return Sending(
        delivery_id=DeliveryId(str(row["delivery_id"])),
        team_id=TeamId(str(row["team_id"])),
        endpoint_id=EndpointId(str(row["endpoint_id"])),
        url=row["url"],
        body=row["body"],
        attempt_count=row["attempt_count"],
        secrets=[Sealed(*each) for each in zip(row["sealed"], row["kids"], strict=True)],
    )


def secret_of(row: asyncpg.Record) -> StoredSecret:
    """A team's present secret."""
    return StoredSecret(Sealed(row["sealed"], row["kid"]), row["create_time"], row["previous_expire_time"])


def secret_columns(secrets: Sequence[tuple[TeamId, Sealed]], now: dt.datetime) -> tuple[object, ...]:
    """The parameters of ADD."""
    return (
        [uuid.uuid4() for _ in secrets],
        [team_id for team_id, _ in secrets],
        [secret.sealed for _, secret in secrets],
        [secret.kid for _, secret in secrets],
        now,
    )


def seen(outcomes: Sequence[tuple[Sending, Attempt]]) -> tuple[list[EndpointId], list[bool], list[dt.datetime]]:
    """For each endpoint, whether anything was taken there, and when it was tried last."""
    taken: dict[EndpointId, bool] = {}
    times: dict[EndpointId, dt.datetime] = {}
    for sending, attempt in outcomes:
        key, end = sending.endpoint_id, attempt.create_time + attempt.latency
        taken[key] = taken.get(key, False) or attempt.taken
        times[key] = max(times.get(key, end), end)
    return list(taken), list(taken.values()), list(times.values())


def disabling(row: asyncpg.Record) -> Deed:
    """What the audit trail hears of an endpoint that was disabled."""
    return Deed(
        team_id=str(row["team_id"]),
        service="webhooks",
        action="webhook_endpoint.disabled",
        object_id=str(row["endpoint_id"]),
        details={"url": row["url"]},
    )
