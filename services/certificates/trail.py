"""How events become the audit trail: read from the queue, kept in batches, their roots put into the log.

An event leaves the queue once its entry is committed; one that comes twice is dropped by its id. A batch is cut in a
commit of its own and then signed under its number, so a crash in between leaves a batch that the next process signs:
the log's subject is the same, and so is the answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from google.protobuf.message import DecodeError
from qm.audit.v1.audit_pb2 import AuditEvent, AuditEvents
from qm.signing.v1 import signing_pb2

from mesh.batch import Batcher
from mesh.consumer import Consumer, Delivery
from mesh.errors import DeadlineExceeded, MeshError, Unavailable
from mesh.events import Events
from mesh.streams import AUDIT
from services.certificates.entry import BATCH_TYPE, BadEventError, check_event
from services.certificates.ledger import AuditLedger

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

_AT_ONCE = 256
_ACK_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_NEVER = 2**31 - 1
"""Deliveries after which an event would be given up: an event of the trail is kept, whatever it takes."""

log = structlog.get_logger()


class Trail:
    """Keeps what the services tell, and anchors it."""

    def __init__(self, ledger: AuditLedger, signing: SigningServiceAsyncStub, *, batch: int) -> None:
        """Keep events in `ledger`; put roots over at most `batch` entries into the log of `signing`."""
        self._ledger = ledger
        self._signing = signing
        self._batch = batch
        self._kept: Batcher[list[AuditEvent], int] = Batcher(self._keep, max_size=_AT_ONCE)
        self._anchoring = asyncio.Lock()

    async def listen(self, events: Events) -> None:
        """Keep every event of the queue, until cancelled."""
        consumer = Consumer(events, AUDIT, "trail", batch=_AT_ONCE, ack_wait=_ACK_SECONDS, max_deliveries=_NEVER)
        async with consumer, asyncio.TaskGroup() as group:
            async for delivery in consumer:
                group.create_task(self._take(delivery))

    async def anchor_forever(self, pause: float) -> None:
        """Anchor what is new every `pause` seconds, until cancelled."""
        while True:
            await asyncio.sleep(pause)
            try:
                await self.anchor()
            except MeshError as error:
                log.warning("audit_not_anchored", reason=error.reason)

    async def anchor(self) -> None:
        """Put everything that is kept into the log now. Raises what signing raises; nothing is lost then."""
        async with self._anchoring:
            while await self._ledger.cut(self._batch):
                pass
            while batches := await self._ledger.unsealed():
                for batch in batches:
                    response = await self._signing.SignRecord(
                        signing_pb2.SignRecordRequest(
                            subject=batch.subject, record_type=BATCH_TYPE, record=batch.record
                        )
                    )
                    await self._ledger.keep_seal(batch.number, response.seal)

    async def close(self) -> None:
        """Keep what has come."""
        await self._kept.close()

    async def _take(self, delivery: Delivery) -> None:
        events, wrong = _readable(delivery.payload)
        while events:
            try:
                await self._kept.add(events)
            except (Unavailable, DeadlineExceeded) as error:
                if error.reason == "SHUTTING_DOWN":
                    return
                await asyncio.sleep(_RETRY_SECONDS)  # the queue is told that the work goes on
            else:
                break
        if wrong:
            log.error("audit_event_unreadable", subject=delivery.subject, reason=wrong)
            await self._bury(delivery, wrong)
        else:
            await delivery.ack()

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        try:
            await delivery.bury(reason)
        except Unavailable:
            await delivery.nak(_RETRY_SECONDS)

    async def _keep(self, gathered: list[list[AuditEvent]]) -> list[int | Exception]:
        kept = await self._ledger.append([event for events in gathered for event in events])
        return [kept for _ in gathered]


def _readable(payload: bytes) -> tuple[list[AuditEvent], str]:
    """The events of a message that can be kept, and what is wrong with the rest; empty where nothing is."""
    try:
        events = AuditEvents.FromString(payload).events
    except DecodeError as error:
        return [], f"no events: {error}"
    good, wrong = [], [] if events else ["a message without an event"]
    for event in events:
        try:
            check_event(event)
        except BadEventError as error:
            wrong.append(str(error))
        else:
            good.append(event)
    return good, "; ".join(wrong)
