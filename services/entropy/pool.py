"""Where bits are drawn from: blocks that are open in this process, and behind them the store."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from mesh.errors import InvalidArgument, Unavailable
from services.entropy.block import Grade, OpenBlock
from services.entropy.chunk import full_entropy_bits
from services.entropy.collect import Collector
from services.entropy.config import EntropyConfig
from services.entropy.refill import Refiller
from services.entropy.source import SourceKey, State, quarantined
from services.entropy.store import PoolStore

MOST_OPEN = 2
"""Blocks of one source and grade that are open at once; of more, that with the least left is thrown away."""
AUTO = "auto"
_NO_LIVE = (
    "No source here is a machine whose entropy is credited; simulators are pseudo-random. Ask for the grade drbg."
)


@dataclass(frozen=True, slots=True)
class Draw:
    """Bytes that nobody else has or will get, and the block they come from."""

    data: bytes
    block: OpenBlock


class Pool:
    """Hands out bytes, each once."""

    def __init__(
        self,
        store: PoolStore,
        refiller: Refiller,
        collector: Collector,
        *,
        config: EntropyConfig,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Draw from `store`, which `refiller` fills; `collector` knows which backends there are, `clock` the UTC."""
        self._store = store
        self._refiller = refiller
        self._collector = collector
        self._config = config
        self._clock = clock
        self._open: defaultdict[tuple[SourceKey, Grade], list[OpenBlock]] = defaultdict(list)
        self._turns: defaultdict[tuple[SourceKey, Grade], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def choose(self, name: str, grade: Grade, *, live_allowed: bool) -> SourceKey:
        """The source that a request means. `auto` is the first live one that is well, else the default one.

        Raises InvalidArgument (UNKNOWN_SOURCE, GRADE_NOT_OFFERED), and Unavailable (HARDWARE_UNAVAILABLE) for full
        entropy where no source is a machine.
        """
        live = self._config.live_sources if live_allowed else ()
        if name == AUTO:
            for each in live:
                source = await self._store.source(SourceKey(each, live=True))
                if source is not None and source.state is State.HEALTHY:
                    return source.key
            if grade is Grade.FULL_ENTROPY:
                if not live:
                    raise Unavailable(_NO_LIVE, reason="HARDWARE_UNAVAILABLE", field="grade")
                return SourceKey(live[0], live=True)
            return SourceKey(self._config.default_source)
        if name in live:
            return SourceKey(name, live=True)
        if grade is Grade.FULL_ENTROPY:
            message = f"grade: {name} is simulated here, and a simulator has no entropy to give; ask for drbg"
            raise InvalidArgument(message, reason="GRADE_NOT_OFFERED", field="grade")
        if await self._store.source(SourceKey(name)) is None and name not in await self._collector.backends():
            message = f"source: there is no {name!r}; GET /v1/entropy/sources lists those there are"
            raise InvalidArgument(message, reason="UNKNOWN_SOURCE", field="source")
        return SourceKey(name)

    def patience(self) -> float:
        """Until when, by the monotonic clock, a request that comes now may wait for blocks."""
        return time.monotonic() + self._config.wait_seconds

    async def draw(self, key: SourceKey, grade: Grade, count: int, *, until: float, tested: bool = True) -> Draw:
        """`count` bytes of one block; waits for it `until` then. Who tests them anyway needs no `tested` block.

        Raises Unavailable where the source is in quarantine (HARDWARE_UNAVAILABLE) or no block is ready in time
        (ENTROPY_NOT_READY), and InvalidArgument (TOO_MANY_BITS) for more than a block of the grade has.
        """
        if 8 * count > (most := self._most_bits(grade) // 8 * 8):
            message = f"bits: the grade {grade.word} comes in at most {most:,} bits at once here"
            raise InvalidArgument(message, reason="TOO_MANY_BITS", field="bits")
        while True:
            async with self._turns[key, grade]:
                if (found := await self._find(key, grade, count, tested=tested)) is not None:
                    return Draw(found.take(count), found)
            self._refiller.want(key)
            if (left := until - time.monotonic()) <= 0:
                message = f"No tested block of {key.source_id} is ready yet; try again in a few seconds."
                raise Unavailable(message, reason="ENTROPY_NOT_READY", metadata={"retry_after_seconds": "5"})
            await self._refiller.news(min(left, 1.0))

    async def _find(self, key: SourceKey, grade: Grade, count: int, *, tested: bool) -> OpenBlock | None:
        source = await self._store.source(key)
        if source is None or source.state is not State.HEALTHY:
            self._open.pop((key, grade), None)
            if source is not None and source.state is State.QUARANTINED:
                raise quarantined(source, self._clock())
            return None
        if not tested and (untested := await self._store.take(key, grade, tested=False)) is not None:
            self._refiller.want(key)
            if untested.bit_count >= 8 * count:
                return OpenBlock(untested)  # what is left of it is thrown away: it cost a millisecond
        blocks = self._open[key, grade]
        for block in blocks:
            if block.left >= count:
                return block
        if (taken := await self._store.take(key, grade, tested=True)) is None:
            return None
        block = OpenBlock(taken)
        self._refiller.want(key)
        blocks.append(block)
        blocks.sort(key=lambda each: each.left)
        if len(blocks) > MOST_OPEN:
            del blocks[0]
        return block if block.left >= count else None

    def _most_bits(self, grade: Grade) -> int:
        if grade is Grade.DRBG:
            return self._config.block_bits
        return full_entropy_bits(self._config.chunk_bits, self._config.live_min_entropy)
