"""The table of plans: requests, bursts, jobs of the month, certificates, the priority queue."""

from __future__ import annotations

import asyncio
import time

import pytest

from deploy.local.mesh import LocalMesh
from tests.live import BELL_JOB, Api, Team, error_of

NO_LIMIT = 2**31 - 1


async def as_team(mesh: LocalMesh, plan: str, environment: str = "test") -> Api:
    return Api(mesh, (await Team.create(mesh, plan)).secrets[environment])


@pytest.mark.parametrize("environment", ["live", "test"])
@pytest.mark.parametrize(
    ("plan", "per_minute", "burst"), [("student", 10, 20), ("academic", 60, 100), ("commercial", 300, 500)]
)
async def test_requests_are_a_bucket_of_the_burst_refilled_at_the_rate(
    mesh: LocalMesh, environment: str, plan: str, per_minute: int, burst: int
) -> None:
    api = await as_team(mesh, plan, environment)
    answers = [await api.get("/v1/jobs") for _ in range(3)]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {str(burst)}
    assert int(answers[0].headers["x-ratelimit-remaining"]) == burst - 1
    full_in = int(answers[-1].headers["x-ratelimit-reset"]) - time.time()
    assert 3 * 60 / per_minute - 3 <= full_in <= 3 * 60 / per_minute + 1.5
    await api.close()


async def test_a_request_past_the_burst_is_429_with_the_time_to_wait(mesh: LocalMesh) -> None:
    api = await as_team(mesh, "student")
    answers = [await api.get("/v1/jobs") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert error_of(answers[-1])[:2] == (429, "rate_limited")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 6
    await api.close()


async def test_enterprise_has_no_limit(ent: Api) -> None:
    answer = await ent.get("/v1/jobs")
    assert [answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining")] == [str(NO_LIMIT)] * 2


async def test_a_student_is_refused_the_sixth_billed_job_of_the_month(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "student")
    live, test = Api(mesh, team.secrets["live"]), Api(mesh, team.secrets["test"])
    accepted = [await live.submit() for _ in range(5)]
    assert [(answer.status_code, answer.json()["cost_usd"]) for answer in accepted] == [(202, 0)] * 5
    assert error_of(await live.submit())[:2] == (403, "forbidden")
    assert (await test.submit()).status_code == 202, "test keys have no such number"
    for each in (live, test):
        await each.close()


@pytest.mark.parametrize(
    ("plan", "certificate", "priority"),
    [("student", 403, 403), ("academic", 403, 403), ("commercial", 200, 202), ("enterprise", 200, 202)],
)
async def test_certificates_and_the_priority_queue_come_with_commercial_and_above(
    mesh: LocalMesh, plan: str, certificate: int, priority: int
) -> None:
    api = await as_team(mesh, plan)
    hurried, job = await asyncio.gather(api.submit({**BELL_JOB, "priority": "priority"}), api.run())
    answer = await api.get(f"/v1/jobs/{job['job_id']}/certificate")
    assert (answer.status_code, hurried.status_code) == (certificate, priority)
    for each, status in ((answer, certificate), (hurried, priority)):
        assert status != 403 or error_of(each)[:2] == (403, "forbidden")
    if priority == 202:
        assert (await api.finished(hurried.json()["job_id"]))["priority"] == "priority"
    await api.close()


async def test_an_academic_job_within_the_month_is_free_and_one_of_enterprise_has_its_price(
    mesh: LocalMesh, own: Api
) -> None:
    api = await as_team(mesh, "academic", "live")
    assert (await api.submit()).json()["cost_usd"] == 0
    price = (await own.get("/v1/marketplace/algorithms/circuit.openqasm.v1")).json()["cost_usd"]
    billed = own.http.headers["Authorization"].startswith("Bearer qm_live_")
    assert (await own.submit()).json()["cost_usd"] == (price if billed else 0)
    await api.close()
