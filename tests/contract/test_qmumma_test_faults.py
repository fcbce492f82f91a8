"""`X-Test-Fault`: what a test key may script, with the ids, fields and errors of the real thing."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import httpx
import pytest

from deploy.local.mesh import LocalMesh
from edge.bodies import parse_text
from edge.dialects.qmumma.answers import Job, SubmittedJob
from edge.dialects.qmumma.errors import ErrorBody
from edge.values import body_of
from tests.live import BELL_JOB, Api, Team

NO_ANSWER = (httpx.RemoteProtocolError, httpx.ReadError)
ALL = ("queue_delay=1", "hardware_offline", "engine_crash", "lost_response", "rate_limited")


async def scripted(api: Api, faults: str, body: dict[str, Any] = BELL_JOB, **headers: str) -> httpx.Response:
    return await api.submit(body, **{"X-Test-Fault": faults, **headers})


async def jobs_of(api: Api) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = (await api.get("/v1/jobs")).json()["jobs"]
    return jobs


@pytest.mark.parametrize("environment", ["live", "ent"])
async def test_keys_that_are_billed_script_no_faults(mesh: LocalMesh, environment: str) -> None:
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets[environment])
    for faults in ALL:
        answer = await scripted(api, faults)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (400, "bad_request", "X-Test-Fault")
    await api.close()


@pytest.mark.parametrize(
    "faults",
    [
        "",
        "unknown",
        "engine_crash,",
        "engine_crash=1",
        "engine_crash, engine_crash",
        "queue_delay",
        "queue_delay=x",
        "queue_delay=-1",
        "queue_delay=601",
        "queue_delay=1e2",
        "queue_delay=nan",
        "ENGINE_CRASH",
        "\xff",
    ],
)
async def test_an_unknown_script_is_refused(mesh: LocalMesh, faults: str) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    answer = await scripted(api, faults.encode("latin-1"))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Test-Fault")
    assert await jobs_of(api) == []
    await api.close()


async def test_queue_delay_keeps_a_job_queued_for_so_long(api: Api) -> None:
    started = time.monotonic()
    job_id = (await scripted(api, "queue_delay=1.2")).json()["job_id"]
    assert (await api.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"
    job = await api.finished(job_id)
    assert job["status"] == "completed"
    assert 1.2 <= time.monotonic() - started < 10


async def test_hardware_offline_refuses_named_hardware_with_503(api: Api) -> None:
    answer = await scripted(api, "hardware_offline", {**BELL_JOB, "hardware": "sim.statevector"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (503, "hardware_unavailable", "hardware")
    assert "sim.statevector" in error["message"]
    assert int(answer.headers["retry-after"]) > 0
    body_of(parse_text(answer.content), ErrorBody)


async def test_hardware_offline_lets_auto_go_elsewhere(api: Api) -> None:
    usual = (await api.submit()).json()["hardware"]
    answer = await scripted(api, "hardware_offline")
    assert answer.status_code == 202
    body_of(parse_text(answer.content), SubmittedJob)
    assert answer.json()["hardware"] != usual
    assert (await api.finished(answer.json()["job_id"]))["status"] == "completed"


async def test_engine_crash_fails_a_job_at_no_cost_after_it_was_rerouted(api: Api) -> None:
    accepted = await scripted(api, "engine_crash")
    job_id = accepted.json()["job_id"]
    async with api.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        names = [line.removeprefix("event: ") async for line in answer.aiter_lines() if line.startswith("event: ")]
    history = [name for name in names if name != "job.progress"]
    assert history == ["job.queued", "job.running", "job.rerouted", "job.running", "job.failed"]
    job = await api.get(f"/v1/jobs/{job_id}")
    body_of(parse_text(job.content), Job)
    assert (job.json()["status"], job.json()["cost_usd"]) == ("failed", 0)
    assert job.json()["error"]["type"] == "server_error"
    assert "SIGKILL" in job.json()["error"]["message"]


async def test_engine_crash_of_named_hardware_fails_without_a_reroute(api: Api) -> None:
    accepted = await scripted(api, "engine_crash", {**BELL_JOB, "hardware": "sim.statevector"})
    job = await api.finished(accepted.json()["job_id"])
    assert (job["status"], job["hardware"], job["cost_usd"]) == ("failed", "sim.statevector", 0)


async def test_a_lost_response_leaves_one_job_that_a_repeat_finds(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with pytest.raises(NO_ANSWER):
        await scripted(api, "lost_response", **key)
    [job] = await jobs_of(api)
    again = await scripted(api, "lost_response", **key)  # as a client sends it that knows nothing of the script
    assert (again.status_code, again.json()["job_id"]) == (202, job["job_id"])
    assert again.headers["idempotency-replayed"] == "true"
    plain = await api.submit(**key)
    assert plain.content == again.content
    assert len(await jobs_of(api)) == 1
    await api.close()


async def test_rate_limited_is_a_429_with_its_headers(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    for answer in (
        await scripted(api, "rate_limited"),
        await api.get("/v1/jobs", **{"X-Test-Fault": "rate_limited"}),
    ):
        assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 0
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("500", "0")
        assert int(answer.headers["x-ratelimit-reset"]) > 0
    assert await jobs_of(api) == []
    await api.close()


async def test_several_faults_may_be_combined(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    with pytest.raises(NO_ANSWER):
        await scripted(api, "queue_delay=0.5, engine_crash ,lost_response")
    async with asyncio.timeout(10):
        while not (jobs := await jobs_of(api)):
            await asyncio.sleep(0.02)
    assert jobs[0]["status"] == "queued"
    assert (await api.finished(jobs[0]["job_id"]))["status"] == "failed"
    await api.close()


async def test_what_befalls_jobs_is_refused_where_no_job_is_submitted(api: Api) -> None:
    answer = await api.get("/v1/jobs", **{"X-Test-Fault": "engine_crash"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Test-Fault")
