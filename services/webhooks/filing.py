"""From events to deliveries: each becomes rows before it is acknowledged, so that a crash loses none."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable

from google.protobuf.message import DecodeError
from qm.execution.v1 import events_pb2

from mesh.batch import Batcher
from mesh.consumer import Consumer, Delivery
from mesh.errors import MeshError
from mesh.events import MESSAGE_ID, Events
from mesh.streams import JOBS_WEBHOOKS
from mesh.telemetry import log
from services.webhooks.delivery import Announcement, DeliveryId, TeamId
from services.webhooks.rendering import body_of, event_name
from services.webhooks.secrets import Secrets
from services.webhooks.store import WebhooksStore

BATCH = 256
PAUSE_SECONDS = 2.0
"""Before an event comes again that could not be filed."""


class Filing:
    """Files what the stream tells."""

    def __init__(
        self,
        events: Events,
        store: WebhooksStore,
        secrets: Secrets,
        on_filed: Callable[[], None],
        *,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Read from `events`; `on_filed` hears of each batch."""
        self._events = events
        self._on_filed = on_filed
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._batches: Batcher[Announcement, None] = Batcher(self._file, max_size=BATCH)
        self._places = asyncio.Semaphore(2 * BATCH)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """File until cancelled."""
        async with Consumer(self._events, JOBS_WEBHOOKS, "webhooks", batch=BATCH, max_deliveries=1_000_000) as consumer:
            async for delivery in consumer:
                await self._places.acquire()
                task = asyncio.create_task(self._one(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _one(self, delivery: Delivery) -> None:
        try:
            try:
                announcement = announced(delivery.payload, delivery.headers.get(MESSAGE_ID, ""), delivery.create_time)
            except (DecodeError, ValueError) as error:
                log.warning("event_unreadable", subject=delivery.subject, error=str(error))
                await delivery.bury(str(error))
                return
            await self._batches.add(announcement)
            await delivery.ack()
        except MeshError as error:
            log.warning("filing_postponed", reason=error.reason)
            await delivery.nak(PAUSE_SECONDS)
        except Exception:  # noqa: BLE001 - a bug; the event stays and comes again
            log.exception("filing_failed", subject=delivery.subject)
            with contextlib.suppress(MeshError):
                await delivery.nak(PAUSE_SECONDS)

    async def _file(self, announcements: list[Announcement]) -> list[Exception | None]:
        await self._store.file(announcements, self._secrets.new, self._clock())
        self._on_filed()
        return [None] * len(announcements)


def announced(payload: bytes, message_id: str, stored: dt.datetime) -> Announcement:
    """What an event has us deliver; raises DecodeError, or ValueError where it makes no sense."""
    event = events_pb2.JobEvent.FromString(payload)
    if not (message_id and event.webhook_url):
        raise ValueError("an event without an id or a URL")
    return Announcement(
        delivery_id=DeliveryId(message_id),
        team_id=TeamId(event.team_id),
        url=event.webhook_url,
        job_id=event.job_id,
        event=event_name(event),
        body=body_of(event),
        create_time=stored,
    )
