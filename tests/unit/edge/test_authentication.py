"""Keys: believed for half a minute, refused at once when revoked, looked up once for all who come together."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest

from edge.app import Bounds
from edge.authentication import DEAF_SECONDS, GOOD_SECONDS, LOOK_UP_SECONDS, REFUSED_SECONDS, Authentication
from edge.dialects.qmumma.jobs import SUBMIT_SECONDS
from edge.errors import Refusal
from edge.limits import Rate
from mesh.call import Call, serving
from mesh.errors import Unavailable

SECRET = "qm_test_sk_alice"
GOOD = b"Bearer qm_test_sk_alice"
BAD = b"Bearer qm_live_sk_nobody"


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authentication(world: Any, clock: Clock) -> Authentication:
    return Authentication(world.accounts, clock=clock, max_entries=3)


async def refused(authentication: Authentication, header: bytes | None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await authentication.requester(header)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Bearer ", b"Basic YTpi", b"qm_test_sk_alice", b"Bearer sk_alice", b"Bearer qm_test_",
     b"Bearer qm_test_a b", b"Bearer qm_test_\xff", b"Bearer qm_live_" + b"x" * 300, b"Bearer qm_prod_x"],
)  # fmt: skip
async def test_what_is_no_key_is_refused_without_asking(
    world: Any, authentication: Authentication, header: bytes | None
) -> None:
    refusal = await refused(authentication, header)
    assert (refusal.status, dict(refusal.headers)[b"www-authenticate"]) == (401, b'Bearer realm="qmumma"')
    assert world.accounts.calls == []


async def test_a_good_key_is_asked_for_once_in_half_a_minute(
    world: Any, authentication: Authentication, clock: Clock
) -> None:
    for _ in range(3):
        clock.now += 5
        authentication.heard()
        assert (await authentication.requester(GOOD)).plan == "commercial"
    assert len(world.accounts.calls) == 1
    clock.now += GOOD_SECONDS
    await authentication.requester(b"bearer  qm_test_sk_alice")
    assert len(world.accounts.calls) == 2


async def test_a_key_is_not_believed_past_its_own_end(world: Any, authentication: Authentication, clock: Clock) -> None:
    world.accounts.expire_seconds = 1005
    await authentication.requester(GOOD)
    clock.now = 1004.9
    authentication.heard()
    await authentication.requester(GOOD)
    assert len(world.accounts.calls) == 1
    clock.now = 1005.0
    await authentication.requester(GOOD)
    assert len(world.accounts.calls) == 2


async def test_a_refusal_is_remembered_only_briefly(world: Any, authentication: Authentication, clock: Clock) -> None:
    for _ in range(2):
        assert (await refused(authentication, BAD)).status == 401
    assert len(world.accounts.calls) == 1
    clock.now += REFUSED_SECONDS
    await refused(authentication, BAD)
    assert len(world.accounts.calls) == 2


async def test_requests_that_come_together_share_one_look_up(world: Any, authentication: Authentication) -> None:
    world.accounts.gate = asyncio.Event()
    waiting = [asyncio.create_task(authentication.requester(GOOD)) for _ in range(20)]
    await world.accounts.asked.wait()
    waiting[0].cancel()
    world.accounts.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(answer == answers[1] for answer in answers[1:])
    assert len(world.accounts.calls) == 1


async def test_a_revoked_key_is_dropped_at_once(world: Any, authentication: Authentication) -> None:
    key_id = (await authentication.requester(GOOD)).key_id
    world.accounts.ended.add(SECRET)
    await authentication.requester(GOOD)
    authentication.drop(key_id)
    assert (await refused(authentication, GOOD)).status == 401


async def test_a_revocation_reaches_a_look_up_that_is_under_way(world: Any, authentication: Authentication) -> None:
    key_id = (await authentication.requester(GOOD)).key_id
    authentication.drop_all()
    world.accounts.asked.clear()
    world.accounts.gate = asyncio.Event()
    waiting = asyncio.create_task(authentication.requester(GOOD))
    await world.accounts.asked.wait()
    world.accounts.ended.add(SECRET)
    authentication.drop(key_id)
    world.accounts.gate.set()
    with pytest.raises(Refusal):
        await waiting
    assert len(world.accounts.calls) == 3


async def test_while_accounts_is_not_heard_a_key_is_believed_for_a_second(
    world: Any, authentication: Authentication, clock: Clock
) -> None:
    authentication.heard()
    await authentication.requester(GOOD)
    clock.now += 0.9 * DEAF_SECONDS
    world.accounts.ended.add(SECRET)
    assert authentication.known(GOOD) is not None
    clock.now += 0.1 * DEAF_SECONDS
    assert authentication.known(GOOD) is None
    assert (await refused(authentication, GOOD)).status == 401


async def test_a_key_that_is_asked_for_while_nothing_is_heard_is_believed_for_a_second_only(
    world: Any, authentication: Authentication, clock: Clock
) -> None:
    for _ in range(3):
        await authentication.requester(GOOD)
        clock.now += 0.5 * DEAF_SECONDS
        await authentication.requester(GOOD)
        clock.now += 0.5 * DEAF_SECONDS
    assert len(world.accounts.calls) == 3


async def test_every_key_of_a_suspended_team_is_403_until_it_is_resumed(
    world: Any, authentication: Authentication
) -> None:
    team_id = (await authentication.requester(GOOD)).team_id
    world.accounts.suspended = True
    authentication.drop_team(str(uuid.UUID(int=99)))
    await authentication.requester(GOOD)
    authentication.drop_team(team_id)
    for _ in range(2):
        assert (await refused(authentication, GOOD)).status == 403
    assert len(world.accounts.calls) == 2
    world.accounts.suspended = False
    authentication.drop_team(team_id)
    await authentication.requester(GOOD)


async def test_the_cache_is_bounded_and_drops_the_oldest(world: Any, authentication: Authentication) -> None:
    for number in range(4):
        await refused(authentication, b"Bearer qm_live_sk_%d" % number)
    await refused(authentication, b"Bearer qm_live_sk_3")
    assert len(world.accounts.calls) == 4
    await refused(authentication, b"Bearer qm_live_sk_0")
    assert len(world.accounts.calls) == 5


async def test_while_accounts_is_away_the_answer_is_503_and_nothing_is_remembered(world: Any) -> None:
    world.accounts.error = Unavailable("no peer", reason="PEER_UNAVAILABLE")
    async with world.client() as client:
        answer = await client.get("/v1/jobs")
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "hardware_unavailable")
        assert "peer" not in answer.text
        world.accounts.error = None
        assert (await client.get("/v1/jobs")).status_code == 200


async def test_a_missing_key_is_401_before_anything_else_is_looked_at(world: Any) -> None:
    async with world.client(None) as anyone:
        answer = await anyone.post("/v1/jobs/submit", content=b"{")
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="qmumma"'


async def test_a_known_key_is_asked_for_again_though_its_address_has_guessed_too_often(make_world: Any) -> None:
    world = make_world(bounds=Bounds(anonymous=Rate(per_minute=1, burst=1)))
    async with world.client() as client, world.client("qm_live_sk_guess") as guesser:
        assert (await client.get("/v1/jobs")).status_code == 200
        assert [(await guesser.get("/v1/jobs")).status_code for _ in range(2)] == [401, 429]
        world.authentication._clock = lambda: time.time() + 2 * DEAF_SECONDS
        assert (await client.get("/v1/jobs")).status_code == 200
    assert world.accounts.calls == [SECRET, "qm_live_sk_guess", SECRET]


async def test_busy_accounts_are_waited_for_as_long_as_a_job_is(world: Any, authentication: Authentication) -> None:
    with serving(Call("public", "req_7", traceparent="00-a", address="192.0.2.7")):
        await authentication.requester(GOOD)
    [call] = world.accounts.parts_of
    assert (call.request_id, call.traceparent, call.address) == ("req_7", "00-a", "192.0.2.7")
    assert 5 < call.remaining() <= LOOK_UP_SECONDS == SUBMIT_SECONDS
