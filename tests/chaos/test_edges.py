"""Two edges of one mesh: what one of them knows must hold at the other, and outlive either."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deploy.local.mesh import LocalMesh
from deploy.local.postgres import Postgres
from deploy.local.programs import every_program
from tests.live import Api, Team, without_own_jobs

EDGES = ("edge", "edge-2")
BURST = {"student": 20, "academic": 100}
MOST_LEASED = {"academic": 25}


@pytest.fixture(scope="module")
async def mesh() -> AsyncIterator[LocalMesh]:
    programs = without_own_jobs(every_program(workers=1))
    programs.append(replace(programs[-1], name=EDGES[1], offset=8))
    with tempfile.TemporaryDirectory(prefix="qmumma-edges-") as folder:
        Path(folder).chmod(0o711)
        async with LocalMesh(Path(folder) / "state", port=0, base_port=0, programs=programs) as mesh:
            yield mesh


@asynccontextmanager
async def both(mesh: LocalMesh, secret: str) -> AsyncIterator[list[Api]]:
    """The API at each edge."""
    apis = [Api(mesh, secret) for _ in EDGES]
    for api, name in zip(apis, EDGES, strict=True):
        api.http.base_url = httpx.URL(f"http://{mesh.layout.address(name)}")
    yield apis
    for api in apis:
        await api.close()


async def ask(api: Api) -> httpx.Response:
    """A request that costs a token and little else."""
    return await api.get("/v1/marketplace/algorithms?q=nothing")


async def take_all(apis: list[Api], most: int = 600) -> int:
    """Ask each edge in turn until neither lets a request pass; how many passed."""
    passed = refused = 0
    while refused < len(apis) and passed < most:
        answers = [await ask(api) for api in apis]
        refused = sum(answer.status_code == 429 for answer in answers)
        passed += sum(answer.status_code == 200 for answer in answers)
        assert {answer.status_code for answer in answers} <= {200, 429}
    return passed


@asynccontextmanager
async def locked(mesh: LocalMesh, table: str) -> AsyncIterator[None]:
    """Nobody reads or writes a table within the block."""
    layout = mesh.layout
    postgres = Postgres(layout.state / "postgres", layout.ports["postgres"], layout.log("postgres"))
    connection = await postgres.connect()
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_under_load_two_edges_let_pass_what_the_plan_says_to_the_request(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "academic")
    async with both(mesh, team.secrets["test"]) as apis:
        passed: list[float] = []
        refused = 0

        async def hammer(api: Api, until: float) -> None:
            nonlocal refused
            while time.monotonic() < until:
                answer = await ask(api)
                if answer.status_code == 200:
                    passed.append(time.monotonic())
                else:
                    refused += 1
                    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (429, "0")
                    assert answer.headers["retry-after"] == "1"

        await hammer(apis[0], time.monotonic() + 0.001)
        until = passed[0] + 3.5
        await asyncio.gather(*(hammer(api, until) for api in apis for _ in range(4)))
        assert len(passed) == BURST["academic"] + 3  # one a second is refilled
        assert refused > 20
        await asyncio.sleep(1)  # what Retry-After says
        assert (await ask(apis[1])).status_code == 200


async def test_a_killed_edge_loses_what_it_was_leased_at_most_and_finds_the_bucket_as_it_was(mesh: LocalMesh) -> None:
    team, student = await Team.create(mesh, "academic"), await Team.create(mesh, "student")
    async with both(mesh, student.secrets["test"]) as apis:
        assert await take_all(apis) == BURST["student"]
    async with both(mesh, team.secrets["test"]) as (first, second):
        for _ in range(3):
            assert (await ask(second)).status_code == 200
        mesh.kill(EDGES[1])
        passed = await take_all([first])
        assert BURST["academic"] - 3 - MOST_LEASED["academic"] <= passed <= BURST["academic"]
    await mesh.ready(EDGES[1])
    async with both(mesh, student.secrets["test"]) as (_, second):
        assert await take_all([second]) <= 3  # what the rate has refilled meanwhile


async def test_without_nats_two_edges_let_pass_what_the_plan_says(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "student")
    async with both(mesh, team.secrets["test"]) as apis:
        mesh.kill("nats", signal.SIGSTOP)
        try:
            started = time.monotonic()
            passed = await take_all(apis)
            assert BURST["student"] <= passed <= BURST["student"] + (time.monotonic() - started) // 6
        finally:
            mesh.kill("nats", signal.SIGCONT)


async def test_while_no_tokens_can_be_leased_an_edge_lets_pass_its_share(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "academic")
    async with both(mesh, team.secrets["test"]) as (first, second):
        started = time.monotonic()
        await ask(first)
        await ask(second)
        async with locked(mesh, "accounts.request_buckets"):
            alone = await take_all([first, second])
            assert 20 <= alone <= 50  # a quarter of what was left, each
        async with asyncio.timeout(10):
            while int((await ask(first)).headers["x-ratelimit-remaining"]) < 40:  # accounts is heard again
                alone += 1
                await asyncio.sleep(0.2)
        later = 1 + await take_all([first, second])
        assert BURST["academic"] - 2 <= alone + later <= BURST["academic"] + (time.monotonic() - started) + 1
