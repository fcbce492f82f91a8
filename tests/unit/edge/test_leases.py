"""Several edges and one bucket: together they let pass what one would, and never more, whatever fails."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.limits import NO_LIMIT, Rate
from services.accounts.bucket import MOST_LEASED
from tests.unit.edge.tokens import Clock, Edges

TEAM = str(uuid.UUID(int=7))
STUDENT = Rate(per_minute=10, burst=20)
COMMERCIAL = Rate(per_minute=300, burst=500)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def edges(clock: Clock) -> Edges:
    return Edges(2, clock)


async def admitted(edges: Edges, rate: Rate, requests: int) -> int:
    """How many of so many requests pass, taken by the edges in turn."""
    turns = itertools.cycle(edges.all)
    return sum([(await next(turns).take(TEAM, rate)).allowed for _ in range(requests)])


async def test_two_edges_let_pass_one_burst_and_then_one_rate(edges: Edges, clock: Clock) -> None:
    assert await admitted(edges, STUDENT, 60) == 20
    refused = await edges.all[0].take(TEAM, STUDENT)
    assert (refused.allowed, refused.remaining, refused.retry_after, refused.reset) == (False, 0, 6, 1_000_120)
    clock.now += 5.9
    assert await admitted(edges, STUDENT, 10) == 0
    clock.now += 0.1
    assert await admitted(edges, STUDENT, 10) == 1
    clock.now += 60
    assert await admitted(edges, STUDENT, 30) == 10


async def test_a_burst_that_comes_at_once_is_counted_to_the_last_request(edges: Edges) -> None:
    takes = [edges.all[number % 2].take(TEAM, COMMERCIAL) for number in range(1200)]
    verdicts = await asyncio.gather(*takes)
    assert sum(verdict.allowed for verdict in verdicts) == 500
    assert min(verdict.remaining for verdict in verdicts if verdict.allowed) <= MOST_LEASED
    assert sum(way.calls for way in edges.ways) < 60


async def test_one_edge_tells_what_is_left_to_the_last_request(edges: Edges, clock: Clock) -> None:
    remaining = [(await edges.all[0].take(TEAM, STUDENT)).remaining for _ in range(20)]
    assert remaining == list(range(19, -1, -1))
    clock.now += 120
    assert (await edges.all[0].take(TEAM, STUDENT)).reset == clock.now + 6


async def test_most_requests_of_a_busy_team_ask_nobody(edges: Edges, clock: Clock) -> None:
    for _ in range(400):
        assert (await edges.all[0].take(TEAM, COMMERCIAL)).allowed
        clock.now += 0.2
        edges.hear()
    assert edges.ways[0].calls < 20


async def test_what_lies_idle_at_one_edge_is_given_to_the_other_when_that_needs_it(edges: Edges) -> None:
    first, second = edges.all
    for _ in range(3):
        await first.take(TEAM, COMMERCIAL)
    assert first._buckets[TEAM].held > 10
    passed = 0
    while (await second.take(TEAM, COMMERCIAL)).allowed:
        passed += 1
    assert passed == 497
    assert first._buckets[TEAM].held == 0


async def test_an_edge_that_hears_no_recalls_holds_nothing(edges: Edges, clock: Clock) -> None:
    clock.now += 2
    edges.recalls_heard = False
    assert await admitted(edges, STUDENT, 60) == 20
    assert all(each._buckets[TEAM].held == 0 for each in edges.all)


async def test_what_is_not_used_is_given_back_within_seconds_even_unasked(edges: Edges, clock: Clock) -> None:
    first, second = edges.all
    edges.recalls_heard = False
    for _ in range(2):
        await first.take(TEAM, STUDENT)
    held = first._buckets[TEAM].held
    assert held > 1
    while (await second.take(TEAM, STUDENT)).allowed:
        pass
    clock.now += 2
    await first.report()
    assert first._buckets[TEAM].held == 0
    assert await admitted(edges, STUDENT, 20) == held


async def test_a_dead_edge_loses_what_it_held_and_nothing_else(edges: Edges, clock: Clock) -> None:
    first, second = edges.all
    for _ in range(2):
        await first.take(TEAM, STUDENT)
    held = first._buckets[TEAM].held
    edges.all.remove(first)
    passed = 0
    while (await second.take(TEAM, STUDENT)).allowed:
        passed += 1
    assert passed == 18 - held
    clock.now += 6 * held
    assert await admitted(edges, STUDENT, 20) == held


async def test_an_edge_that_starts_again_finds_the_bucket_as_it_was(edges: Edges) -> None:
    assert await admitted(edges, STUDENT, 20) == 20
    assert not (await edges.edge(edges.ways[0]).take(TEAM, STUDENT)).allowed


async def test_an_edge_that_stops_gives_everything_back(edges: Edges) -> None:
    for _ in range(5):
        await edges.all[0].take(TEAM, STUDENT)
    await edges.all.pop(0).close()
    assert await admitted(edges, STUDENT, 40) == 15


async def test_without_accounts_each_edge_lets_pass_what_it_holds_and_its_share_of_what_it_last_heard_of(
    edges: Edges, clock: Clock
) -> None:
    first, second = edges.all
    for _ in range(2):
        await first.take(TEAM, COMMERCIAL)
    held = first._buckets[TEAM].held
    edges.lose(asks=True)
    alone = 0
    while (await first.take(TEAM, COMMERCIAL)).allowed:
        alone += 1
    assert alone == held + (498 - held) // 4
    while (await second.take(TEAM, COMMERCIAL)).allowed:
        alone += 1
    assert alone == held + (498 - held) // 4 + 500 // 4  # it had heard of no use
    clock.now += 8  # four times 0.2 seconds, ten times
    assert await admitted(edges, COMMERCIAL, 100) == 2 * 10
    edges.lose()
    for each in edges.all:
        await each.report()
    assert await admitted(edges, COMMERCIAL, 600) == 500 - 2 - alone - 20 + 40


async def test_an_answer_that_does_not_come_refuses_nobody_who_has_tokens(edges: Edges) -> None:
    edges.lose(asks=True)
    assert await admitted(edges, COMMERCIAL, 100) == 100
    edges.lose()
    for each in edges.all:
        await each.report()
    assert await admitted(edges, COMMERCIAL, 600) == 400


async def test_what_was_used_up_before_accounts_was_lost_stays_used_up(edges: Edges, clock: Clock) -> None:
    assert await admitted(edges, STUDENT, 20) == 20
    assert not (await edges.all[0].take(TEAM, STUDENT)).allowed
    edges.lose(asks=True)
    clock.now += 1
    assert not (await edges.all[0].take(TEAM, STUDENT)).allowed


async def test_retry_after_is_true(edges: Edges, clock: Clock) -> None:
    for _ in range(30):
        verdict = await edges.all[1].take(TEAM, STUDENT)
        clock.now += 0.7
        if not verdict.allowed:
            clock.now += verdict.retry_after - 0.7
            assert (await edges.all[0].take(TEAM, STUDENT)).allowed


async def test_another_plan_keeps_what_was_used(edges: Edges) -> None:
    assert await admitted(edges, STUDENT, 20) == 20
    assert await admitted(edges, COMMERCIAL, 600) == 480
    assert await admitted(edges, STUDENT, 5) == 0


async def test_no_limit_is_no_limit_and_asks_nobody(edges: Edges) -> None:
    verdicts = [await edges.all[0].take(TEAM, Rate(0, 0)) for _ in range(1000)]
    assert all(verdict.allowed and verdict.remaining == NO_LIMIT for verdict in verdicts)
    assert edges.ways[0].calls == 0


async def test_buckets_that_are_full_are_forgotten(edges: Edges, clock: Clock) -> None:
    first = edges.all[0]
    await first.take(TEAM, STUDENT)
    for _ in range(3):
        clock.now += 10
        await first.report()
    assert first._buckets == {}


WHAT = st.sampled_from(["take"] * 6 + ["report", "lose asks", "lose answers", "mend", "die", "deafen"])


@settings(
    max_examples=60, deadline=None, phases=[Phase.reuse, Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
@given(
    rate=st.sampled_from([STUDENT, COMMERCIAL, Rate(60, 5), Rate(6000, 40)]),
    steps=st.lists(
        st.tuples(WHAT, st.integers(0, 2), st.integers(1, 40), st.sampled_from([0, 0, 0.01, 0.3, 2, 9, 11, 40])),
        max_size=60,
    ),
)
def test_over_no_time_do_all_edges_let_pass_more_than_the_bucket_gives_and_a_burst_where_accounts_is_lost(
    rate: Rate, steps: list[tuple[str, int, int, float]]
) -> None:
    async def story() -> None:
        clock = Clock()
        edges = Edges(3, clock)
        passed: list[float] = []
        for what, number, count, pause in steps:
            if what == "take":
                verdicts = await asyncio.gather(*(edges.all[number].take(TEAM, rate) for _ in range(count)))
                passed += [clock.now] * sum(verdict.allowed for verdict in verdicts)
            elif what == "report":
                await edges.all[number].report()
            elif what == "die":
                edges.all[number] = edges.edge(edges.ways[number])
            elif what == "deafen":
                edges.recalls_heard = not edges.recalls_heard
            else:
                edges.lose(asks=what == "lose asks", answers=what == "lose answers")
                await asyncio.gather(*(each.report() for each in edges.all if what == "mend"))
            clock.now += pause
            if edges.recalls_heard:
                edges.hear()
        names = [what for what, *_ in steps]
        lost = sum(what.startswith("lose") for what in names)
        # What an edge knows when it is left alone may be old: a burst for all, and a share for one that starts then.
        bursts = 1 + lost + (names.count("die") / 4 if lost else 0)
        full_at = 0.0
        for time in passed:
            full_at = max(full_at, time) + rate.interval
            assert full_at - time <= bursts * rate.burst * rate.interval + 1e-3

    asyncio.run(story())
