"""The beacon: every hour a public random value, chained to the one before by its hash, signed and in the log.

A value is stored before it is signed. So a crash in between leaves the same value to be signed by the next process, and
two processes agree on one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from qm.signing.v1 import signing_pb2

from mesh.errors import MeshError
from services.entropy.archive import Archive, Beacon
from services.entropy.block import Grade
from services.entropy.pool import AUTO, Pool
from services.entropy.record import BEACON_TYPE, beacon_record

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

log = structlog.get_logger()
VALUE_BYTES = 64
RETRY_SECONDS = 30.0


class BeaconKeeper:
    """Adds a value in every period."""

    def __init__(
        self,
        pool: Pool,
        archive: Archive,
        signing: SigningServiceAsyncStub,
        *,
        period: dt.timedelta,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Draw from `pool`, keep in `archive`; `clock` tells the time in UTC."""
        self._pool = pool
        self._archive = archive
        self._signing = signing
        self._period = period
        self._clock = clock

    async def run(self, first_after: float) -> None:
        """Keep it going until cancelled."""
        await asyncio.sleep(first_after)
        while True:
            try:
                await self.pulse()
                pause = self._until_next().total_seconds()
            except MeshError as error:
                log.warning("beacon_postponed", reason=error.reason)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def pulse(self) -> None:
        """Sign the newest value if it is not yet, and add one if this period has none. Raises MeshError."""
        newest = await self._sealed(await self._archive.newest_beacon())
        now = self._clock()
        if newest is not None and self._begin_of(newest.create_time) == self._begin_of(now):
            return
        key = await self._pool.choose(AUTO, Grade.DRBG, live_allowed=True)
        draw = await self._pool.draw(key, Grade.DRBG, VALUE_BYTES, until=self._pool.patience())
        index, previous = (0, None) if newest is None else (newest.index + 1, newest.record)
        record = beacon_record(index, draw.data, previous=previous, block=draw.block, time=now)
        await self._archive.begin_beacon(index, record, now)
        await self._sealed(await self._archive.newest_beacon())

    async def _sealed(self, beacon: Beacon | None) -> Beacon | None:
        if beacon is not None and beacon.seal is None:
            request = signing_pb2.SignRecordRequest(
                subject=f"beacon/{beacon.index}", record_type=BEACON_TYPE, record=beacon.record
            )
            await self._archive.seal_beacon(beacon.index, (await self._signing.SignRecord(request)).seal)
        return beacon

    def _begin_of(self, moment: dt.datetime) -> int:
        """The number of the period that a moment is in."""
        return int(moment.timestamp() // self._period.total_seconds())

    def _until_next(self) -> dt.timedelta:
        return dt.timedelta(seconds=self._period.total_seconds() * (self._begin_of(self._clock()) + 1)) - dt.timedelta(
            seconds=self._clock().timestamp()
        )
