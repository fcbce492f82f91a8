"""The places of a worker: what may run beside what."""

from __future__ import annotations

import asyncio

import pytest

from services.execution.job import Queue
from services.execution.slots import Slots


def taken(slots: Slots, *queues: Queue) -> list[bool]:
    return [slots.take(queue) for queue in queues]


def test_one_more_than_the_engines_while_all_are_short():
    assert taken(Slots(2), *[Queue.SHORT] * 4) == [True, True, True, False]


def test_long_jobs_leave_an_engine_to_the_short_ones():
    slots = Slots(3, short_count=1)
    assert taken(slots, *[Queue.LONG] * 3) == [True, True, False]
    assert taken(slots, Queue.SHORT, Queue.SHORT) == [True, False]


@pytest.mark.parametrize("short_count", [1, 5])
def test_a_lone_engine_takes_long_jobs_too_and_then_nothing_else(short_count: int):
    slots = Slots(1, short_count=short_count)
    assert taken(slots, Queue.LONG, Queue.LONG, Queue.SHORT) == [True, False, False]


def test_engines_of_enterprises_are_left_to_them():
    slots = Slots(3, enterprise_count=2)
    assert taken(slots, *[Queue.SHORT] * 3) == [True, True, False]
    assert taken(slots, Queue.ENTERPRISE_SHORT, Queue.ENTERPRISE_SHORT, Queue.ENTERPRISE_SHORT) == [True, True, False]


def test_enterprises_may_use_every_engine():
    assert taken(Slots(2, enterprise_count=1), *[Queue.ENTERPRISE_SHORT] * 3) == [True] * 3


def test_a_worker_of_enterprises_takes_nothing_else():
    slots = Slots(2, enterprise_count=2)
    assert [queue for queue in Queue if slots.serves(queue)] == [Queue.ENTERPRISE_SHORT, Queue.ENTERPRISE_LONG]
    assert taken(slots, Queue.SHORT, Queue.LONG, Queue.ENTERPRISE_LONG) == [False, False, True]


async def test_a_free_place_goes_to_the_first_who_may_have_it():
    slots = Slots(2, short_count=1)
    assert taken(slots, Queue.LONG, Queue.SHORT) == [True, True]
    order: list[str] = []

    async def wait(name: str, queue: Queue) -> None:
        await slots.acquire(queue)
        order.append(name)

    waiting = [asyncio.create_task(wait(*each)) for each in (("long", Queue.LONG), ("short", Queue.SHORT))]
    await asyncio.sleep(0)
    slots.release(Queue.SHORT)
    await asyncio.sleep(0)
    assert order == ["short"]
    slots.release(Queue.LONG)
    await asyncio.gather(*waiting)
    assert order == ["short", "long"]


async def test_a_place_that_nobody_waits_for_any_more_is_free_again():
    slots = Slots(1)
    assert slots.take(Queue.LONG)
    waiting = asyncio.create_task(slots.acquire(Queue.LONG))
    await asyncio.sleep(0)
    slots.release(Queue.LONG)
    waiting.cancel()  # the place is its own already
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(slots.room(Queue.LONG), 1)
    assert slots.take(Queue.LONG)
