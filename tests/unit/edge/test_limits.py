"""Token buckets: what a plan says, exactly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import limits
from edge.app import Bounds
from edge.limits import NO_LIMIT, Rate, RateLimiter

STUDENT = Rate(per_minute=10, burst=20)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock)


def test_a_full_bucket_gives_its_burst_and_then_the_rate(limiter: RateLimiter, clock: Clock) -> None:
    remaining = [limiter.take("t", STUDENT).remaining for _ in range(20)]
    assert remaining == list(range(19, -1, -1))
    refused = limiter.take("t", STUDENT)
    assert (refused.allowed, refused.retry_after, refused.reset) == (False, 6, 1_000_120)
    clock.now += 5.9
    assert not limiter.take("t", STUDENT).allowed
    clock.now += 0.1
    assert limiter.take("t", STUDENT).allowed
    assert not limiter.take("t", STUDENT).allowed


def test_reset_is_when_the_bucket_is_full_again(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(5):
        verdict = limiter.take("t", STUDENT)
    assert verdict.reset == 1_000_030
    clock.now = 1_000_030
    assert limiter.take("t", STUDENT).remaining == 19


def test_teams_do_not_share_a_bucket(limiter: RateLimiter) -> None:
    for _ in range(21):
        limiter.take("one", STUDENT)
    assert limiter.take("two", STUDENT).allowed


def test_no_limit_is_no_limit(limiter: RateLimiter) -> None:
    verdicts = [limiter.take("t", Rate(0, 0)) for _ in range(1000)]
    assert all(verdict.allowed and verdict.remaining == NO_LIMIT for verdict in verdicts)


@given(
    rate=st.integers(1, 6000),
    burst=st.integers(1, 500),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_window_ever_grants_more_than_burst_and_rate_allow(rate: int, burst: int, gaps: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    granted = 0
    start = clock.now
    for gap in gaps:
        clock.now += gap
        verdict = limiter.take("t", Rate(rate, burst))
        granted += verdict.allowed
        assert granted <= burst + (clock.now - start) * rate / 60 + 1e-3
        assert 0 <= verdict.remaining < burst
        assert verdict.allowed or verdict.retry_after >= 1


def test_buckets_that_are_full_anyway_are_forgotten(
    limiter: RateLimiter, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 100)
    for number in range(100):
        limiter.take(f"early {number}", STUDENT)
    clock.now += 3600
    for number in range(99):
        limiter.take(f"late {number}", STUDENT)
    assert len(limiter._full_at) == 99
    for number in range(200):
        limiter.take(f"more {number}", STUDENT)
    assert len(limiter._full_at) <= 100


async def test_every_answer_to_a_key_tells_the_bucket(world: Any) -> None:
    async with world.client("qm_live_sk_student") as client:
        first = await client.get("/v1/jobs")
        assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("20", "19")
        wrong = await client.get("/v1/jobs?limit=0")
        assert (wrong.status_code, wrong.headers["x-ratelimit-remaining"]) == (400, "18")
        for _ in range(18):
            await client.get("/v1/jobs/nothing")
        refused = await client.get("/v1/jobs")
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "6"
    assert refused.headers.get_list("x-ratelimit-remaining") == ["0"]


async def test_an_unlimited_plan_says_so(world: Any) -> None:
    async with world.client("qm_ent_sk_big") as client:
        answer = await client.get("/v1/jobs")
    assert answer.headers["x-ratelimit-limit"] == answer.headers["x-ratelimit-remaining"] == str(NO_LIMIT)


async def test_open_operations_are_limited_by_address_and_documents_are_not(make_world: Any) -> None:
    world = make_world(bounds=Bounds(anonymous=Rate(per_minute=1, burst=2)))
    async with world.client(None) as anyone:
        statuses = [(await anyone.get("/v1/log/keys")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        for path in ("/healthz", "/v1/openapi.json", "/docs"):
            assert (await anyone.get(path)).status_code == 200


async def test_keys_that_nobody_knows_count_against_the_address_and_good_ones_do_not(make_world: Any) -> None:
    world = make_world(bounds=Bounds(anonymous=Rate(per_minute=1, burst=2)))
    async with world.client("qm_ent_sk_big") as client:
        assert [(await client.get("/v1/jobs")).status_code for _ in range(4)] == [200] * 4
        strangers = [{"authorization": f"Bearer qm_live_sk_{number}"} for number in range(4)]
        statuses = [(await client.get("/v1/jobs", headers=stranger)).status_code for stranger in strangers]
        assert statuses == [401, 401, 429, 429]
        assert len(world.accounts.calls) == 3
        assert (await client.get("/v1/jobs")).status_code == 200
