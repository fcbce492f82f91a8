"""The batcher flushes at once when idle, groups when busy, and keeps its callers apart."""

from __future__ import annotations

import asyncio

import pytest

from mesh.batch import Batcher
from mesh.errors import NotFound, Unavailable


class Flushes:
    """A flush under the test's control: it records batches and waits for the gate."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        self.batches.append(items)
        self.begun.set()
        await self.gate.wait()
        return [NotFound("none", reason="NONE") if item < 0 else item * 2 for item in items]


async def test_an_idle_batcher_flushes_a_lone_item_at_once() -> None:
    flushes = Flushes()
    flushes.gate.set()
    assert await Batcher(flushes).add(21) == 42
    assert flushes.batches == [[21]]


async def test_what_arrives_during_a_flush_goes_into_the_next_in_order() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes, max_size=3)
    first = asyncio.create_task(batcher.add(0))
    await flushes.begun.wait()
    later = [asyncio.create_task(batcher.add(item)) for item in range(1, 6)]
    await asyncio.sleep(0)
    flushes.gate.set()
    assert await asyncio.gather(first, *later) == [0, 2, 4, 6, 8, 10]
    assert flushes.batches == [[0], [1, 2, 3], [4, 5]]


async def test_an_error_in_place_of_a_result_fails_that_item_alone() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes)
    tasks = [asyncio.create_task(batcher.add(item)) for item in (1, -1, 3)]
    flushes.gate.set()
    good, bad, other = await asyncio.gather(*tasks, return_exceptions=True)
    assert (good, other) == (2, 6)
    assert isinstance(bad, NotFound)


async def test_a_failed_flush_fails_every_item_of_it_and_no_later_one() -> None:
    attempts = 0

    async def flush(items: list[int]) -> list[int | Exception]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise Unavailable("down", reason="DATABASE_UNAVAILABLE")
        return list(items)

    batcher = Batcher(flush)
    results = await asyncio.gather(batcher.add(1), batcher.add(2), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert await batcher.add(3) == 3


async def test_a_flush_that_answers_the_wrong_number_of_results_is_an_error() -> None:
    async def flush(_: list[int]) -> list[int | Exception]:
        return []

    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await Batcher(flush).add(1)


async def test_a_cancelled_waiter_does_not_hurt_the_others() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes)
    in_flight = asyncio.create_task(batcher.add(1))
    await flushes.begun.wait()
    queued, other = asyncio.create_task(batcher.add(2)), asyncio.create_task(batcher.add(3))
    await asyncio.sleep(0)
    in_flight.cancel()
    queued.cancel()
    flushes.gate.set()
    assert await other == 6
    assert flushes.batches == [[1], [3]]
    assert in_flight.cancelled()
    assert queued.cancelled()


async def test_close_drains_what_was_added_and_refuses_more() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes, max_size=1)
    tasks = [asyncio.create_task(batcher.add(item)) for item in range(3)]
    await flushes.begun.wait()
    closing = asyncio.create_task(batcher.close())
    flushes.gate.set()
    await closing
    assert [task.result() for task in tasks] == [0, 2, 4]
    with pytest.raises(Unavailable):
        await batcher.add(9)


async def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Batcher(Flushes(), max_size=0)
