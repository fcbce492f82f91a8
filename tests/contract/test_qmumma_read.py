"""Reading, listing and cancelling jobs, and their certificates."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from deploy.local.mesh import LocalMesh
from edge.dialects.qmumma.answers import Job, JobPage, JobSummary
from tests.live import BELL_JOB, Api, Team, assert_is, error_of

ALWAYS = {"job_id", "status", "algorithm_id", "hardware", "shots", "priority", "created_at", "cost_usd"}
COMPLETED = {
    "qubits",
    "qubits_used",
    "result",
    "fidelity",
    "fidelity_method",
    "pqc_signature",
    "key_id",
    "audit_hash",
    "blockchain_anchor",
    "executed_at",
    "execution",
}
EXECUTION = {"engine", "engine_version", "simulated", "seed", "calibration_id", "duration_ms"}


async def waiting(mesh: LocalMesh) -> tuple[Api, str]:
    """A team with one job that no worker sees."""
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    return api, (await api.submit(**{"X-Test-Fault": "queue_delay=600"})).json()["job_id"]


async def test_a_job_that_waits_has_the_members_that_every_job_has(mesh: LocalMesh) -> None:
    api, job_id = await waiting(mesh)
    job = assert_is(await api.get(f"/v1/jobs/{job_id}"), Job)
    assert (set(job), job["status"]) == (ALWAYS, "queued")
    assert (await api.get("/v1/jobs?status=queued")).json()["jobs"] == [json.loads(json.dumps(job, default=float))]
    await api.close()


@pytest.mark.parametrize("hardware", ["auto", "ibm_marrakesh"])
async def test_a_completed_job_adds_its_result_and_what_proves_it(own: Api, hardware: str) -> None:
    accepted = await own.submit({**BELL_JOB, "hardware": hardware})
    await own.finished(accepted.json()["job_id"])
    job = assert_is(await own.get(accepted.headers["location"]), Job)
    assert set(job) >= ALWAYS | COMPLETED
    assert re.fullmatch(r"\d{1,3}\.\d\d%", job["fidelity"])
    assert job["fidelity_method"] in {"ideal_comparison", "calibration_estimate", "exact"}
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", job["audit_hash"])
    assert re.fullmatch(r"vajra://txid/[0-9a-f]{64}", job["blockchain_anchor"])
    assert set(job["execution"]) >= EXECUTION
    assert (job["qubits"] >= job["qubits_used"], job["qubits_used"]) == (True, 2)
    if hardware != "auto":
        assert (job["hardware"], job["qubits"]) == ("ibm_marrakesh", 156)


async def test_a_failed_job_says_why_and_costs_nothing(api: Api) -> None:
    job_id = (await api.submit(**{"X-Test-Fault": "engine_crash"})).json()["job_id"]
    job = await api.finished(job_id)
    assert set(job) == {*ALWAYS, "error"}
    assert (job["status"], set(job["error"]), job["cost_usd"]) == ("failed", {"type", "message"}, 0)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("before=nothing", "before"),
        (f"before=qm_job_{'0' * 32}&after=qm_job_{'0' * 32}", "before"),
        ("page=2", "page"),
        (f"before=qm_job_{'0' * 32}%0A", "before"),
        (f"after=qm_job_{'0' * 32}%0A", "after"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(own: Api, query: str, param: str) -> None:
    assert error_of(await own.get(f"/v1/jobs?{query}")) == (400, "bad_request", param)


async def test_a_page_has_20_jobs_unless_it_is_said(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["test"])
    answers = await asyncio.gather(*(api.submit(**{"X-Test-Fault": "queue_delay=600"}) for _ in range(21)))
    page = assert_is(await api.get("/v1/jobs"), JobPage)
    assert (len(page["jobs"]), page["has_more"]) == (20, True)
    assert len((await api.get("/v1/jobs?limit=100")).json()["jobs"]) == 21
    cancelled = await asyncio.gather(*(api.http.post(f"{each.headers['location']}/cancel") for each in answers))
    assert {answer.status_code for answer in cancelled} == {202}
    await api.close()


async def test_a_job_is_cancelled_once(mesh: LocalMesh) -> None:
    api, job_id = await waiting(mesh)
    answer = await api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, assert_is(answer, JobSummary)["status"]) == (202, "cancelled")
    job = (await api.get(f"/v1/jobs/{job_id}")).json()
    assert (job["status"], job["cost_usd"]) == ("cancelled", 0)
    assert error_of(await api.http.post(f"/v1/jobs/{job_id}/cancel"))[:2] == (409, "conflict")
    await api.close()


async def test_a_certificate_is_a_pdf_of_a_completed_job_alone(mesh: LocalMesh, own: Api) -> None:
    job = await own.run()
    answer = await own.get(f"/v1/jobs/{job['job_id']}/certificate")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    api, job_id = await waiting(mesh)
    assert error_of(await api.get(f"/v1/jobs/{job_id}/certificate"))[:2] == (409, "conflict")
    await api.close()


async def test_pages_lead_through_all_jobs_in_both_directions(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["test"])
    made = [(await api.submit()).json()["job_id"] for _ in range(5)]
    newest_first = made[::-1]
    first = await api.get("/v1/jobs?limit=2")
    assert_is(first, JobPage)
    page = first.json()
    assert ([job["job_id"] for job in page["jobs"]], page["has_more"]) == (newest_first[:2], True)
    page = (await api.get(f"/v1/jobs?limit=3&after={newest_first[1]}")).json()
    assert ([job["job_id"] for job in page["jobs"]], page["has_more"]) == (newest_first[2:], False)
    page = (await api.get(f"/v1/jobs?limit=2&before={newest_first[3]}")).json()
    assert ([job["job_id"] for job in page["jobs"]], page["has_more"]) == (newest_first[1:3], True)
    await asyncio.gather(*(api.finished(job_id) for job_id in made))
    done = (await api.get("/v1/jobs?status=completed")).json()["jobs"]
    assert [job["job_id"] for job in done] == newest_first
    await api.close()


async def test_a_job_can_be_polled_waited_for_and_followed(api: Api) -> None:
    job_id = (await api.submit()).json()["job_id"]
    async with api.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = [line async for line in answer.aiter_lines()]
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events[-1]["status"] == "completed"
    current = await api.get(f"/v1/jobs/{job_id}")
    assert current.json() == events[-1]
    unchanged = await api.get(f"/v1/jobs/{job_id}?wait=30", **{"If-None-Match": current.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert error_of(await api.http.post(f"/v1/jobs/{job_id}/cancel"))[:2] == (409, "conflict")
