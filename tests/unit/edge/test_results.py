"""Downloads of results."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from edge.dialects.qmumma.ids import shown_job_id
from edge.dialects.qmumma.routes import Settings
from tests.unit.edge.conftest import OTHER_TEAM_SECRET, RESULT, World

BODY = b"".join(RESULT)
DIGEST = hashlib.sha256(BODY).hexdigest()


async def path_of(world: World, *, completed: bool = True) -> str:
    job = world.execution.make()
    if completed:
        await world.execution.complete(job)
    return f"/v1/jobs/{shown_job_id(job.job_id)}/result"


async def test_a_result_is_streamed_under_its_digest(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get(await path_of(world))
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["etag"] == f'"{DIGEST}"'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(BODY))
    assert world.execution.watching == 0


async def test_who_has_it_is_told_so_and_nothing_is_fetched(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get(await path_of(world), headers={"If-None-Match": f'"{DIGEST}"'})
    assert (answer.status_code, answer.content, world.execution.watching) == (304, b"", 0)


async def test_a_job_that_is_not_completed_has_none(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get(await path_of(world, completed=False))
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "conflict")


async def test_another_teams_result_does_not_exist(world: World) -> None:
    path = await path_of(world)
    async with world.client(OTHER_TEAM_SECRET) as other:
        answer = await other.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


async def test_a_download_counts_among_the_streams_of_its_team(make_world: Any) -> None:
    world = make_world(settings=Settings(streams_per_team=0))
    path = await path_of(world)
    async with world.client() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limited")


async def test_a_download_that_breaks_off_is_shorter_than_it_said(world: World, client: httpx.AsyncClient) -> None:
    world.execution.pieces = 1
    answer = await client.get(await path_of(world))
    assert int(answer.headers["content-length"]) == len(BODY) > len(answer.content)
