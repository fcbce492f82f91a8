"""Two edges in front of accounts: a revoked key is dead on both within a second, whatever becomes of NATS."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1 import teams_pb2

from edge.__main__ import forget_changed_keys
from edge.authentication import DEAF_SECONDS, Authentication
from edge.errors import Refusal
from mesh.events import Events
from tests.conftest import RunningNats
from tests.mesh.accounting import Accounts, requester

MARGIN = 0.5
"""Seconds that a busy machine may take to do what it should do at once."""


@pytest.fixture
async def edges(accounts: Accounts, nats_server: RunningNats) -> AsyncIterator[list[Authentication]]:
    """What two edge processes know of keys."""
    made, connections = [Authentication(accounts.edge) for _ in range(2)], []
    for authentication in made:
        events = await Events.connect(nats_server.url, nats_server.identity("edge"))
        await forget_changed_keys(events, authentication)
        connections.append(events)
    yield made
    for events in connections:
        await events.close()


async def believed(edge: Authentication, secret: str) -> bool:
    try:
        await edge.requester(f"Bearer {secret}".encode())
    except Refusal:
        return False
    return True


async def until_dead(edges: list[Authentication], secret: str) -> float:
    """Use a key on every edge without a pause; answers after how many seconds none takes it any more."""
    start = time.monotonic()

    async def use(edge: Authentication) -> None:
        while await believed(edge, secret):
            await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await asyncio.gather(*(use(edge) for edge in edges for _ in range(4)))
    return time.monotonic() - start


async def hearing(edges: list[Authentication]) -> None:
    """Wait until every edge hears accounts."""
    async with asyncio.timeout(20):
        while not all(time.time() - edge._heard < DEAF_SECONDS for edge in edges):
            await asyncio.sleep(0.02)


def hang(nats_server: RunningNats) -> Callable[[], None]:
    """Stop NATS in its tracks: connections stand, and nothing comes through; the answer lets it go on."""
    pid = nats_server.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


async def test_a_key_revoked_under_load_is_dead_on_both_edges_within_a_second(
    accounts: Accounts, edges: list[Authentication]
) -> None:
    user = await accounts.user(await accounts.team())
    key, other = [await accounts.key(user) for _ in range(2)]
    await hearing(edges)
    for edge in edges:
        assert await believed(edge, key.secret)
        assert await believed(edge, other.secret)
    dying = asyncio.create_task(until_dead(edges, key.secret))
    await asyncio.sleep(0)
    await accounts.revoke(key.key)
    assert await dying < DEAF_SECONDS
    for edge in edges:
        assert edge.known(f"Bearer {other.secret}".encode()) is not None


@pytest.mark.parametrize("silence", [hang, lambda nats: nats.kill() and (lambda: None)], ids=["hangs", "is killed"])
async def test_a_key_revoked_while_nats_is_silent_is_dead_within_a_second(
    accounts: Accounts, edges: list[Authentication], nats_server: RunningNats, silence: Any
) -> None:
    made = await accounts.key(await accounts.user(await accounts.team()))
    await hearing(edges)
    for edge in edges:
        assert await believed(edge, made.secret)
    go_on = silence(nats_server)
    try:
        await accounts.revoke(made.key)
        assert await until_dead(edges, made.secret) < DEAF_SECONDS + MARGIN
    finally:
        go_on()
    await nats_server.ready()
    await hearing(edges)


async def test_edges_follow_a_suspension_and_its_end(accounts: Accounts, edges: list[Authentication]) -> None:
    made = await accounts.key(await accounts.user(await accounts.team()))
    for edge in edges:
        assert await believed(edge, made.secret)
    team_id = made.key.team_id
    await accounts.teams.SuspendTeam(teams_pb2.SuspendTeamRequest(team_id=team_id, reason="unpaid"))
    assert await until_dead(edges, made.secret) < DEAF_SECONDS
    await accounts.teams.ResumeTeam(teams_pb2.ResumeTeamRequest(team_id=team_id))
    async with asyncio.timeout(DEAF_SECONDS):
        while not all([await believed(edge, made.secret) for edge in edges]):
            await asyncio.sleep(0.01)


async def test_ended_keys_are_told_once_and_only_they(accounts: Accounts, edges: list[Authentication]) -> None:
    user = await accounts.user(await accounts.team())
    keys = [await accounts.key(user) for _ in range(20)]
    await hearing(edges)
    for edge in edges:
        assert all([await believed(edge, key.secret) for key in keys])
    for key in keys[::2]:
        await accounts.edge.RevokeKey(
            pb.RevokeKeyRequest(team_id=user.team_id, key_id=key.key.key_id, requester=requester(user))
        )
    for key in keys[::2]:
        assert await until_dead(edges, key.secret) < DEAF_SECONDS
    assert all(edge.known(f"Bearer {key.secret}".encode()) for edge in edges for key in keys[1::2])
