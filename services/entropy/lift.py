"""How an operator lifts a quarantine: with a reason, for everyone to see, and never past the start-up test.

The lift is stored, then signed and put into the log, and only then the source may be drawn from again; what it gives is
tested as at its first start, and until that has passed nothing leaves it. A repeat after a crash goes on where the last
try stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import rfc8785
import structlog
from qm.entropy.v1 import entropy_pb2 as pb
from qm.signing.v1 import signing_pb2

from mesh.errors import Conflict, NotFound
from services.entropy.record import rfc3339
from services.entropy.refill import Refiller
from services.entropy.source import Source, SourceKey, State
from services.entropy.store import Lift, PoolStore

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

log = structlog.get_logger()
LIFT_TYPE = "qmumma.quarantine_lift/v1"


class Lifter:
    """Lifts quarantines."""

    def __init__(
        self, store: PoolStore, refiller: Refiller, signing: SigningServiceAsyncStub, clock: Callable[[], dt.datetime]
    ) -> None:
        """Change sources in `store`, have `refiller` start them, log through `signing`; `clock` tells the UTC."""
        self._store = store
        self._refiller = refiller
        self._signing = signing
        self._clock = clock

    async def lift(self, request: pb.LiftQuarantineRequest) -> Lift:
        """Let a source make its start-up test now.

        Raises NotFound (UNKNOWN_SOURCE), Conflict (NOT_QUARANTINED; IDEMPOTENCY_KEY_REUSED) and what signing raises.
        """
        key = SourceKey(request.source_id, request.live)
        lift = await self._store.lift(request.request_id)
        if lift is None:
            source = await self._quarantined(key)
            record = lift_record(request.request_id, source, request.reason, self._clock())
            lift = await self._store.begin_lift(request.request_id, key, record, self._clock())
        if lift.source != key:
            message = "This request_id was used for another source."
            raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="request_id")
        if lift.seal is None:
            signed = await self._signing.SignRecord(
                signing_pb2.SignRecordRequest(
                    subject=f"lift/{request.request_id}", record_type=LIFT_TYPE, record=lift.record
                )
            )
            lift = await self._store.end_lift(request.request_id, signed.seal, self._clock())
            log.warning("quarantine_lifted", source=str(key), reason=request.reason)
            self._refiller.want(key)
        return lift

    async def lifts(self) -> list[Lift]:
        """The newest lifts, newest first."""
        return await self._store.lifts()

    async def _quarantined(self, key: SourceKey) -> Source:
        source = await self._store.source(key)
        if source is None:
            message = f"The source {key} was never drawn from; GET /v1/entropy/sources lists those there are."
            raise NotFound(message, reason="UNKNOWN_SOURCE", field="source_id")
        if source.state is not State.QUARANTINED:
            message = f"The source {key} is not in quarantine: it is {source.state.name.lower()}."
            raise Conflict(message, reason="NOT_QUARANTINED", field="source_id")
        return source


def lift_record(request_id: str, source: Source, reason: str, time: dt.datetime) -> bytes:
    """What is signed: which source, what it had failed, who says why it may try again; canonical JSON (RFC 8785)."""
    return rfc8785.dumps(
        {
            "type": LIFT_TYPE,
            "request_id": request_id,
            "source": source.key.source_id,
            "live": source.key.live,
            "quarantined_for": source.reason,
            "failures_in_a_row": source.failure_count,
            "by": "operator",
            "reason": reason,
            "time": rfc3339(time),
        }
    )
