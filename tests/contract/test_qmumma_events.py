"""Following a job: events that are resumed exactly, reads that wait, and reads that cost nothing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import httpx
import pytest

from deploy.local.mesh import LocalMesh
from tests.live import BELL_JOB, Api, Team


@dataclass(frozen=True)
class Event:
    """One event as it was sent."""

    name: str
    data: str
    id: str = ""


async def read(answer: httpx.Response, most: int = 100) -> list[Event]:
    """The events with an id, up to so many, or to the end of the stream."""
    found, fields = [], dict[str, str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[{"event": "name"}.get(name, name)] = value
        elif not line:
            fields.pop("retry", None)
            if "id" in fields:
                found.append(Event(**fields))
            fields = {}
        if len(found) == most:
            break
    return found


async def events(api: Api, job_id: str, after: str = "", most: int = 100) -> list[Event]:
    headers = {"Last-Event-ID": after} if after else {}
    async with api.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        return await read(answer, most)


async def crashing(api: Api, **headers: str) -> str:
    """A job with the longest history that there is."""
    job_id: str = (await api.submit(**{"X-Test-Fault": "engine_crash", **headers})).json()["job_id"]
    return job_id


async def test_the_stream_tells_the_whole_history_and_ends_with_the_job(api: Api) -> None:
    job_id = (await api.submit()).json()["job_id"]
    told = await events(api, job_id)
    assert [event.name for event in told] == ["job.queued", "job.running", "job.completed"]
    assert [event.id for event in told] == ["1", "2", "3"]
    assert told[-1].data == (await api.get(f"/v1/jobs/{job_id}")).text
    assert [json.loads(event.data)["status"] for event in told] == ["queued", "running", "completed"]


async def test_a_stream_that_breaks_anywhere_is_resumed_with_nothing_lost_or_doubled(api: Api) -> None:
    job_id = await crashing(api)
    seen: list[Event] = []
    while not seen or seen[-1].name != "job.failed":  # one event for each connection, the job running all the while
        seen += await events(api, job_id, seen[-1].id if seen else "", most=1)
    assert [event.id for event in seen] == ["1", "2", "3", "4", "5"]
    assert [event.name for event in seen] == [
        "job.queued",
        "job.running",
        "job.rerouted",
        "job.running",
        "job.failed",
    ]
    assert await events(api, job_id) == seen  # the same bytes for whoever comes late
    for place in range(1, 5):
        assert await events(api, job_id, str(place)) == seen[place:]


async def test_who_saw_the_end_is_told_not_to_come_back(api: Api) -> None:
    job_id = (await api.run())["job_id"]
    answer = await api.get(f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": "3"})
    assert (answer.status_code, answer.content) == (204, b"")
    for wrong in ("4", "x", "-1"):
        answer = await api.get(f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Last-Event-ID")


async def test_a_rerouted_job_shows_its_new_backend_from_there_on(api: Api) -> None:
    job_id = await crashing(api)
    hardware = [json.loads(event.data)["hardware"] for event in await events(api, job_id)]
    assert hardware[0] == hardware[1]
    assert hardware[2] == hardware[3] == hardware[4]


async def test_wait_holds_the_read_until_the_job_changes_or_the_time_is_over(api: Api) -> None:
    job_id = (await api.submit(**{"X-Test-Fault": "queue_delay=1.5"})).json()["job_id"]
    started = time.monotonic()
    unchanged = await api.get(f"/v1/jobs/{job_id}?wait=1")
    assert unchanged.json()["status"] == "queued"
    assert 0.9 < time.monotonic() - started < 5
    changed = await api.get(f"/v1/jobs/{job_id}?wait=30")
    assert changed.json()["status"] in {"running", "completed"}
    done = await api.finished(job_id)
    started = time.monotonic()
    assert (await api.get(f"/v1/jobs/{job_id}?wait=30")).json() == done
    assert time.monotonic() - started < 5
    for wrong in ("-1", "31", "x", "1.5"):
        answer = await api.get(f"/v1/jobs/{job_id}?wait={wrong}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "wait")


async def test_an_unchanged_job_is_a_304_and_a_changed_one_is_not(api: Api) -> None:
    job_id = (await api.submit(**{"X-Test-Fault": "queue_delay=600"})).json()["job_id"]
    path = f"/v1/jobs/{job_id}"
    first = await api.get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"0", {tag}', "*"):
        unchanged = await api.get(path, **{"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
        assert "x-request-id" in unchanged.headers
        assert "x-ratelimit-remaining" in unchanged.headers
    waiting = asyncio.create_task(api.get(f"{path}?wait=30", **{"If-None-Match": tag}))
    assert (await api.http.post(f"{path}/cancel")).status_code == 202
    changed = await asyncio.wait_for(waiting, 10)
    assert (changed.status_code, changed.json()["status"]) == (200, "cancelled")
    assert changed.headers["etag"] != tag


async def test_a_tag_of_the_job_is_none_of_its_proof(api: Api) -> None:
    path = f"/v1/jobs/{(await api.run())['job_id']}"
    plain, proven = await api.get(path), await api.get(f"{path}?include=proof")
    for known, other, target in ((plain, proven, f"{path}?include=proof"), (proven, plain, path)):
        answer = await api.get(target, **{"If-None-Match": known.headers["etag"]})
        assert (answer.status_code, answer.content) == (200, other.content)
        assert (await api.get(target, **{"If-None-Match": other.headers["etag"]})).status_code == 304


@pytest.mark.parametrize("path", ["/events", "?wait=1", ""])
async def test_another_teams_job_cannot_be_followed(mesh: LocalMesh, api: Api, path: str) -> None:
    job_id = (await api.submit({**BELL_JOB})).json()["job_id"]
    other = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    answer = await other.get(f"/v1/jobs/{job_id}{path}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    await other.close()
