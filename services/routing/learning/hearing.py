"""Hears how jobs ended, from the stream of their events, and keeps it.

A message is acknowledged once its outcome is in the table, which has one row for each job: what comes twice counts
once. While the database is down the stream holds what was not kept, for as long as it keeps events (mesh/streams.py: a
day); while NATS is away execution's outbox does. Neither stops the choice of backends.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError
from qm.execution.v1 import events_pb2, execution_pb2
from qm.routing.v1 import routing_pb2

from mesh.batch import Batcher
from mesh.consumer import Consumer, Delivery
from mesh.errors import MeshError
from mesh.events import Events
from mesh.streams import JOBS_EVENTS, event_subject
from mesh.telemetry import log
from services.routing.decision import DecisionId, JobId
from services.routing.learning.outcome import Outcome, Promise
from services.routing.learning.outcome_store import OutcomeStore
from services.routing.program import Forecast

ENDS = ("completed", "failed", "rerouted")
_ONE_BATCH = 64
_MOST_AT_ONCE = 1024
_RETRY_SECONDS = 1.0


async def hear(connect: Callable[[], Awaitable[Events]], store: OutcomeStore) -> None:
    """Keep the outcomes of all jobs in `store`, until cancelled; `connect` is tried again while NATS is away."""
    while True:
        try:
            events = await connect()
            break
        except MeshError as error:
            log.warning("outcomes_not_heard", reason=error.reason)
            await asyncio.sleep(_RETRY_SECONDS)
    kept: Batcher[Outcome, None] = Batcher(store.keep)
    try:
        async with asyncio.TaskGroup() as group:
            for word in ENDS:
                group.create_task(_follow(events, word, kept))
    finally:
        await events.close()


async def _follow(events: Events, word: str, kept: Batcher[Outcome, None]) -> None:
    subject = event_subject(word, "*")
    consumer = Consumer(
        events, JOBS_EVENTS, f"routing-{word}", subject=subject, batch=_ONE_BATCH, max_deliveries=sys.maxsize
    )
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    async with consumer, asyncio.TaskGroup() as group:
        while True:
            await places.acquire()
            delivery = await anext(consumer)
            task = group.create_task(_keep(delivery, kept))
            task.add_done_callback(lambda _: places.release())


async def _keep(delivery: Delivery, kept: Batcher[Outcome, None]) -> None:
    """Keep one outcome; what is no such event is put aside, what cannot be kept now comes again."""
    try:
        outcome = outcome_of(delivery.payload)
        if outcome is not None:
            await kept.add(outcome)
        await delivery.ack()
    except DecodeError as error:
        log.warning("outcome_unreadable", subject=delivery.subject)
        await delivery.bury(str(error))
    except MeshError as error:
        log.warning("outcome_postponed", reason=error.reason)
        await delivery.nak(_RETRY_SECONDS)
    except Exception:  # noqa: BLE001 - a bug, and one outcome must not end the others
        log.exception("outcome_postponed", subject=delivery.subject)
        await delivery.nak(_RETRY_SECONDS)


def outcome_of(payload: bytes) -> Outcome | None:
    """What an event tells; None for one without an outcome. Raises DecodeError for what is no event."""
    event = events_pb2.JobEvent.FromString(payload)
    if not event.HasField("outcome"):
        return None
    told = event.outcome
    estimate = told.estimate if told.HasField("estimate") else None
    return Outcome(
        job_id=JobId(event.job_id),
        decision_id=DecisionId(told.decision_id) if told.decision_id else None,
        backend_id=told.backend_id,
        engine=told.engine,
        calibration_id=told.calibration_id or None,
        fidelity=told.fidelity if told.HasField("fidelity") else None,
        fidelity_method=told.fidelity_method,
        queue_seconds=_seconds(told.queue_duration.ToTimedelta()),
        run_seconds=_seconds(told.run_duration.ToTimedelta()),
        engine_seconds=_seconds(told.engine_duration.ToTimedelta()) if told.HasField("engine_duration") else None,
        error_type=told.error_type or None,
        backend_fault=told.backend_fault,
        forecast=None if estimate is None else forecast_of(estimate),
        promise=None if estimate is None else _promise(estimate),
        moved=event.state == execution_pb2.JOB_STATE_QUEUED,
        end_time=event.create_time.ToDatetime(dt.UTC),
    )


def _seconds(span: dt.timedelta) -> float:
    return max(0.0, span.total_seconds())


def _promise(estimate: routing_pb2.Estimate) -> Promise:
    return Promise(
        estimate.fidelity,
        estimate.fidelity_low,
        estimate.fidelity_high,
        estimate.duration_p50.ToTimedelta().total_seconds(),
        estimate.duration_p90.ToTimedelta().total_seconds(),
    )


def forecast_of(estimate: routing_pb2.Estimate) -> Forecast:
    """What the models said; an estimate that nothing has corrected is that, less its queue."""
    if estimate.HasField("forecast"):
        told = estimate.forecast
        return Forecast(
            told.fidelity,
            told.fidelity_low,
            told.fidelity_high,
            told.duration_p50.ToTimedelta(),
            told.duration_p90.ToTimedelta(),
        )
    return Forecast(
        estimate.fidelity,
        estimate.fidelity_low,
        estimate.fidelity_high,
        estimate.duration_p50.ToTimedelta() - estimate.queue_p50.ToTimedelta(),
        estimate.duration_p90.ToTimedelta() - estimate.queue_p90.ToTimedelta(),
    )
