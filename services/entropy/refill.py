"""How the pool is kept full: collect, test, condition, keep; and what happens to a source that fails."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

import structlog
import uuid_utils.compat

from mesh.errors import MeshError
from services.entropy.block import ChunkId, Grade
from services.entropy.chunk import Chunk, piece_digests
from services.entropy.collect import Collector
from services.entropy.config import EntropyConfig
from services.entropy.laboratory import Laboratory
from services.entropy.source import Source, SourceKey, State, retry_delay
from services.entropy.store import PoolStore, Stock

log = structlog.get_logger()
SPARE = 1
"""Blocks that wait untested, for requests that are tested themselves; with fewer, the next chunk is drawn."""
AFTER_YOU_SECONDS = 0.1
"""Between a wish and the work on it: who opened a block is answered first, and not while another is made and tested."""
MOST_REJECTIONS = 3
"""Blocks in a row that fail SP 800-22 at 0.01: once in a million for a good generator."""


class Lack(Enum):
    """What the pool has too little of."""

    TESTS = 1
    RAW_BITS = 2


class Refiller:
    """Keeps tested blocks ready for the sources that are in use."""

    def __init__(
        self,
        store: PoolStore,
        collector: Collector,
        laboratory: Laboratory,
        *,
        config: EntropyConfig,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Fill `store` with what `collector` brings and `laboratory` lets pass; `clock` tells the time in UTC."""
        self._store = store
        self._collector = collector
        self._laboratory = laboratory
        self._config = config
        self._clock = clock
        self._wanted = asyncio.Event()
        self._news = asyncio.Condition()
        self._keys = {SourceKey(config.default_source), *(SourceKey(name, live=True) for name in config.live_sources)}
        self._rejections: dict[SourceKey, int] = {}

    async def run(self) -> None:
        """Fill until cancelled; what is down now is met again at the next round."""
        await self._rest(self._config.first_refill_seconds)
        while True:
            self._wanted.clear()
            for key in sorted(self._keys):
                try:
                    await self.fill(key)
                except MeshError as error:
                    log.warning("refill_postponed", source=str(key), reason=error.reason, message=error.message)
                await self._tell()
            await self._rest(self._config.refill_seconds)
            await asyncio.sleep(AFTER_YOU_SECONDS)

    def want(self, key: SourceKey) -> None:
        """Ask for blocks of a source, now and from now on."""
        self._keys.add(key)
        self._wanted.set()

    async def news(self, seconds: float) -> None:
        """Wait for a change of any source or block, or for `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait()
        except TimeoutError:
            pass

    async def fill(self, key: SourceKey) -> None:
        """Make a source ready, unless it is in quarantine; raises MeshError."""
        source = await self._store.source(key) or Source(key, State.STARTING, simulated=not key.live)
        while source.may_start(self._clock()) and (lack := await self._lack(key)):
            if lack is Lack.RAW_BITS or (block := await self._store.untested(key)) is None:
                source = await self._draw(source)
                continue
            tests = await self._laboratory.run_suite(block.output(), block.bit_count)
            if tests["passed"]:
                self._rejections[key] = 0
                await self._store.certify(block.block_id, tests)
                await self._tell()
                continue
            await self._store.reject(block.block_id)
            self._rejections[key] = self._rejections.get(key, 0) + 1
            log.warning("block_rejected", source=str(key), rejected=tests["rejected"])
            if self._rejections[key] >= MOST_REJECTIONS:
                source = await self._quarantine(source, "its blocks fail SP 800-22, one after the other")

    async def _lack(self, key: SourceKey) -> Lack | None:
        """What a source has too little of: tested blocks first, then seeds of others."""
        stock = await self._store.stock()
        seeded = stock.get((key, Grade.DRBG), Stock())
        full = stock.get((key, Grade.FULL_ENTROPY), Stock())
        simulated = not key.live or ((known := await self._store.source(key)) is not None and known.simulated)
        if seeded.tested < self._config.ready_blocks or full.untested:
            return Lack.TESTS if seeded.untested or full.untested else Lack.RAW_BITS
        return Lack.RAW_BITS if seeded.untested < SPARE or not (simulated or full.tested) else None

    async def _draw(self, source: Source) -> Source:
        """Collect and test one chunk: the start-up test of a source that starts, the continuous one of any other."""
        if source.state is not State.HEALTHY:
            source = replace(source, state=State.STARTING)
            await self._store.keep_source(source)
        raw = await self._collector.collect(source.key)
        claimed = self._config.simulated_min_entropy if raw.simulated else self._config.live_min_entropy
        chunk = Chunk(
            ChunkId(uuid_utils.compat.uuid7()),
            raw,
            claimed,
            await self._laboratory.assess(raw.data, claimed),
            repeated=await self._store.was_seen(piece_digests(raw.data)),
        )
        seen = replace(
            source,
            simulated=raw.simulated,
            assessed_min_entropy=chunk.assessed_min_entropy,
            chunk_time=raw.collect_time,
        )
        if chunk.failure:
            return await self._quarantine(seen, chunk.failure, chunk)
        well = replace(seen, state=State.HEALTHY, reason="", failure_count=0, retry_time=None)
        await self._store.keep_chunk(chunk, chunk.blocks(self._config.block_bits, os.urandom), well)
        return well

    async def _quarantine(self, source: Source, reason: str, chunk: Chunk | None = None) -> Source:
        failures = source.failure_count + 1
        delay = retry_delay(failures, dt.timedelta(seconds=self._config.quarantine_seconds))
        failed = replace(
            source,
            state=State.QUARANTINED,
            reason=reason,
            failure_count=failures,
            retry_time=self._clock() + delay,
        )
        await self._store.quarantine(failed, chunk)
        log.error("source_quarantined", source=str(source.key), reason=reason, failures=failures)
        self._rejections.pop(source.key, None)
        await self._tell()
        return failed

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            pass

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
