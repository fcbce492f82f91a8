"""`POST /v1/jobs/submit`: each row of its table, and its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from deploy.local.mesh import LocalMesh
from edge.dialects.qmumma.answers import SubmittedJob
from tests.live import BELL, BELL_JOB, Api, Team, assert_is, error_of

OF_THE_SOURCE = {
    "algorithm_id": "vqe.molecular.v2",
    "hardware": "auto",
    "shots": 4096,
    "parameters": {"molecule": "H2O"},
    "priority": "standard",
    "webhook_url": "https://your.app/hook",
}
ANSWER = {"job_id", "status", "hardware", "estimated_ms", "cost_usd", "routing"}


async def ended(api: Api, answer: httpx.Response) -> None:
    """Leave no job behind that others would wait for."""
    await api.http.post(f"{answer.headers['location']}/cancel")


async def test_the_body_of_the_source_is_taken_as_it_stands(own: Api) -> None:
    answer = await own.submit(OF_THE_SOURCE)
    body = assert_is(answer, SubmittedJob)
    assert (answer.status_code, set(body), body["status"]) == (202, ANSWER, "queued")
    assert isinstance(body["estimated_ms"], int)
    billed = own.http.headers["Authorization"].startswith("Bearer qm_live_")
    assert float(body["cost_usd"]) == (50 if billed else 0)
    await ended(own, answer)


async def test_the_answer_says_where_the_job_is_and_why_it_was_sent_there(own: Api) -> None:
    answer = await own.submit()
    body = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{body['job_id']}"
    assert (await own.get(answer.headers["location"])).json()["job_id"] == body["job_id"]
    assert body["routing"]["backend"] == body["hardware"]
    assert body["routing"]["reason"]
    assert {"backend", "eligible", "reason"} <= set(body["routing"]["alternatives"][0])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"algorithm_id": "nothing.v1"}, (404, "not_found", "algorithm_id")),
        ({"algorithm_id": None}, (400, "bad_request", "algorithm_id")),
        ({"hardware": "nowhere"}, (400, "bad_request", "hardware")),
        ({"shots": 1023}, (400, "bad_request", "shots")),
        ({"shots": 131_073}, (400, "bad_request", "shots")),
        ({"shots": "4096"}, (400, "bad_request", "shots")),
        ({"parameters": []}, (400, "bad_request", "parameters")),
        ({"parameters": {}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": BELL, "more": 1}}, (400, "bad_request", "parameters.more")),
        ({"parameters": {"qasm": "OPENQASM 2.0; h q[0];"}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": 1}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": 'OPENQASM 3.0; include "/etc/passwd";'}}, (400, "bad_request", "parameters.qasm")),
        ({"priority": "urgent"}, (400, "bad_request", "priority")),
        ({"webhook_url": "https://192.168.0.1/"}, (400, "bad_request", "webhook_url")),
        ({"webhook_url": "https://[fe80::1]/"}, (400, "bad_request", "webhook_url")),
        ({"seed": -1}, (400, "bad_request", "seed")),
        ({"seed": 2**63}, (400, "bad_request", "seed")),
        ({"max_cost_usd": -1}, (400, "bad_request", "max_cost_usd")),
        ({"max_cost_usd": 0.0000001}, (400, "bad_request", "max_cost_usd")),
        ({"quote_id": "nothing"}, (400, "bad_request", "quote_id")),
        ({"unknown": 1}, (400, "bad_request", "unknown")),
    ],
)
async def test_what_is_wrong_is_named(own: Api, change: dict[str, Any], expected: tuple[int, str, str]) -> None:
    body = {name: value for name, value in {**BELL_JOB, **change}.items() if value is not None}
    assert error_of(await own.submit(body)) == expected


@pytest.mark.parametrize("environment", ["live", "test"])
async def test_what_is_refused_makes_no_job(mesh: LocalMesh, environment: str) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets[environment])
    for change in ({"shots": 1}, {"hardware": "nowhere"}, {"parameters": {}}, {"algorithm_id": "nothing.v1"}):
        assert (await api.submit({**BELL_JOB, **change})).status_code in {400, 404}
    assert (await api.get("/v1/jobs")).json()["jobs"] == []
    await api.close()


async def test_hardware_is_auto_unless_it_is_named(own: Api) -> None:
    unnamed, named = await own.submit({**BELL_JOB, "hardware": "auto"}), await own.submit(BELL_JOB)
    assert unnamed.json()["hardware"] == named.json()["hardware"]
    chosen = await own.submit({**BELL_JOB, "hardware": "ibm_marrakesh"})
    assert chosen.json()["hardware"] == "ibm_marrakesh"


async def test_shots_are_4096_unless_they_are_said(own: Api) -> None:
    body = {name: value for name, value in BELL_JOB.items() if name != "shots"}
    answers = [
        await own.submit(body),
        await own.submit({**body, "shots": 1024}),
        await own.submit({**body, "shots": 131_072}),
    ]
    jobs = [(await own.get(answer.headers["location"])).json() for answer in answers]
    assert [job["shots"] for job in jobs] == [4096, 1024, 131_072]
    assert {job["priority"] for job in jobs} == {"standard"}


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
async def test_a_seed_repeats_a_simulation_bit_for_bit(own: Api, seed: int) -> None:
    body = {**BELL_JOB, "seed": seed}
    first, second = await asyncio.gather(own.run(body), own.run(body))
    assert first["result"]["counts"] == second["result"]["counts"]
    assert first["execution"]["seed"] == second["execution"]["seed"] == str(seed)


async def test_a_job_that_costs_more_than_the_most_is_refused_before_anything_is_held(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["live"])
    price = (await api.submit()).json()["cost_usd"]
    assert error_of(await api.submit({**BELL_JOB, "max_cost_usd": price - 0.01})) == (
        400,
        "bad_request",
        "max_cost_usd",
    )
    assert (await api.submit({**BELL_JOB, "max_cost_usd": price})).json()["cost_usd"] == price
    assert len((await api.get("/v1/jobs")).json()["jobs"]) == 2
    await api.close()
