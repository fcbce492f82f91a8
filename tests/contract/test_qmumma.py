"""The Q-MUMMA dialect over the whole mesh: what its clients may rely on."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import qmumma.cli
from qm.accounts.v1 import accounts_pb2
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.execution.v1 import execution_pb2
from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST, Requester
from qmumma.documents import verify

from deploy.local.mesh import LocalMesh
from edge.bodies import parse_text
from edge.dialects.qmumma.algorithms import AlgorithmDetail, AlgorithmList
from edge.dialects.qmumma.answers import Job, JobPage, SubmittedJob
from edge.dialects.qmumma.proof import Anchor, KeySet
from edge.values import body_of
from tests.live import BELL_JOB, Api, Team, operator_channel


def assert_is(answer: httpx.Response, kind: type) -> None:
    """The answer has the members and types that the document gives it, and no others."""
    value = parse_text(answer.content)
    body_of(value, kind)
    assert set(value) <= set(kind.__struct_fields__)  # type: ignore[attr-defined]


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["type"], error.get("param", "")


async def test_a_job_goes_from_submission_to_a_result_that_verifies_offline(api: Api, anyone: Api) -> None:
    accepted = await api.submit({**BELL_JOB, "seed": 2**63 - 1})
    assert accepted.status_code == 202
    assert_is(accepted, SubmittedJob)
    place = accepted.headers["location"]
    job = await api.finished(accepted.json()["job_id"])
    assert (job["status"], job["execution"]["seed"], sum(job["result"]["counts"].values())) == (
        "completed",
        str(2**63 - 1),
        1024,
    )
    held = await api.get(f"{place}?include=proof")
    assert_is(held, Job)
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    assert_is(jwks, KeySet)
    report = verify(held.content, jwks.content, log_keys.text)
    assert report.failed == ()
    online = await anyone.http.post("/v1/verify", json=held.json())
    assert online.json()["valid"] is True
    anchor = await anyone.get(f"/v1/anchors/{held.json()['blockchain_anchor'].removeprefix('vajra://txid/')}")
    assert_is(anchor, Anchor)
    assert anchor.json()["leaf"] == held.json()["proof"]["leaf"]


async def test_one_altered_member_is_named_with_or_without_the_proof(api: Api, anyone: Api) -> None:
    job = await api.run()
    altered = {**job, "shots": 2048}
    report = (await anyone.http.post("/v1/verify", json=altered)).json()
    assert report["valid"] is False
    assert "audit_hash" in [check["name"] for check in report["checks"] if not check["ok"]]
    held = (await api.get(f"/v1/jobs/{job['job_id']}?include=proof")).json()
    report = (await anyone.http.post("/v1/verify", json={**held, "shots": 2048})).json()
    assert "shots" in [check["name"] for check in report["checks"] if not check["ok"]]


async def test_a_number_that_no_record_can_hold_is_named_online_as_offline(api: Api, anyone: Api) -> None:
    job = await api.run()
    held = await api.get(f"/v1/jobs/{job['job_id']}?include=proof")
    altered = held.content.replace(b'"shots":1024', b'"shots":1024.00000000000000000001', 1)
    assert altered != held.content
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    offline = [(check.name, check.ok) for check in verify(altered, jwks.content, log_keys.text).checks]
    answer = await anyone.http.post("/v1/verify", content=altered, headers={"Content-Type": "application/json"})
    assert [(check["name"], check["ok"]) for check in answer.json()["checks"]] == offline
    assert offline == [("result.shots", False)]


async def test_the_log_is_witnessed_and_a_monitor_that_follows_it_finds_it_honest(
    mesh: LocalMesh, api: Api, anyone: Api, tmp_path: Path
) -> None:
    job = await api.run()
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    witness = mesh.layout.state / "witness" / "witness.vkey"

    async def witnessed() -> bool:
        held = await api.get(f"/v1/jobs/{job['job_id']}?include=proof")
        return verify(held.content, jwks.content, log_keys.text, witness_keys=witness.read_text()).ok

    async with asyncio.timeout(20):
        while not await witnessed():
            await asyncio.sleep(0.05)
    arguments = ["log", "monitor", mesh.base_url, "--once", "--state", str(tmp_path / "log.json")]
    for _ in range(2):
        status = await asyncio.to_thread(qmumma.cli.main, [*arguments, "--witness-key", str(witness)])
        assert status == qmumma.cli.EXIT_HOLDS
    tile = await anyone.get("/v1/log/tile/entries/000.p/1")
    assert tile.status_code == 200
    again = await anyone.http.get("/v1/log/tile/entries/000.p/1", headers={"If-None-Match": tile.headers["etag"]})
    assert again.status_code == 304


async def test_a_completed_job_has_a_page_for_whoever_holds_its_token(
    mesh: LocalMesh, team: Team, api: Api, anyone: Api
) -> None:
    job = await api.run()
    canonical_id = str(uuid.UUID(job["job_id"].removeprefix("qm_job_")))
    async with operator_channel(mesh, "execution") as channel:
        whose = Requester(
            team_id=team.team_id,
            user_id=team.user_id,
            key_id=team.key_ids["test"],
            plan="commercial",
            environment=ENVIRONMENT_TEST,
        )
        request = execution_pb2.GetJobRequest(requester=whose, job_id=canonical_id)
        token = (await ExecutionServiceStub(channel).GetJob(request)).job.view_token
    page = await anyone.get(f"/verify/{job['job_id']}?t={token}")
    assert page.status_code == 200
    assert "This result is genuine" in page.text
    assert (await anyone.get(f"/verify/{job['job_id']}?t={token[:-1]}")).status_code == 404


async def test_a_repeat_with_the_same_key_makes_no_second_job(api: Api) -> None:
    key = uuid.uuid4().hex
    first = await api.submit(**{"Idempotency-Key": key})
    await api.finished(first.json()["job_id"])
    again = await api.submit(**{"Idempotency-Key": key})
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.submit({**BELL_JOB, "shots": 2048}, **{"Idempotency-Key": key})
    assert error_of(other) == (409, "conflict", "Idempotency-Key")


async def test_a_job_of_another_team_does_not_exist(mesh: LocalMesh, api: Api) -> None:
    job_id = (await api.run())["job_id"]
    other = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    for answer in (
        await other.get(f"/v1/jobs/{job_id}"),
        await other.get(f"/v1/jobs/{job_id}/events"),
        await other.http.post(f"/v1/jobs/{job_id}/cancel"),
    ):
        assert error_of(answer)[:2] == (404, "not_found")
    assert (await other.get("/v1/jobs")).json() == {"jobs": [], "has_more": False}
    await other.close()


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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"algorithm_id": "nothing.v1"}, (404, "not_found", "algorithm_id")),
        ({"hardware": "nowhere"}, (400, "bad_request", "hardware")),
        ({"shots": 1023}, (400, "bad_request", "shots")),
        ({"parameters": {}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": "OPENQASM 2.0; h q[0];"}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": 1}}, (400, "bad_request", "parameters.qasm")),
        ({"parameters": {"qasm": 'OPENQASM 3.0; include "/etc/passwd";'}}, (400, "bad_request", "parameters.qasm")),
        ({"unknown": 1}, (400, "bad_request", "unknown")),
    ],
)
async def test_what_is_wrong_is_named_and_makes_no_job(
    mesh: LocalMesh, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    answer = await api.submit({**BELL_JOB, **change})
    assert error_of(answer) == expected
    assert (await api.get("/v1/jobs")).json()["jobs"] == []
    await api.close()


async def test_the_priority_queue_is_not_part_of_every_plan(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "student")).secrets["live"])
    answer = await api.submit({**BELL_JOB, "priority": "priority"})
    assert error_of(answer)[:2] == (403, "forbidden")
    assert (await api.get("/v1/jobs")).json()["jobs"] == []
    await api.close()


async def test_the_marketplace_is_as_the_document_says(api: Api) -> None:
    listed = await api.get("/v1/marketplace/algorithms")
    assert_is(listed, AlgorithmList)
    ids = [algorithm["id"] for algorithm in listed.json()["algorithms"]]
    assert {"vqe.molecular.v2", "circuit.openqasm.v1"} <= set(ids)
    for algorithm_id in ids:
        detail = await api.get(f"/v1/marketplace/algorithms/{algorithm_id}")
        assert_is(detail, AlgorithmDetail)
        job = await api.run(detail.json()["example"]["request"])
        assert (job["status"], job["algorithm_id"]) == ("completed", algorithm_id)
        assert set(job["result"]) == set(detail.json()["example"]["result"])
    assert error_of(await api.get("/v1/algorithms/nothing")) == (404, "not_found", "algorithm_id")


async def test_a_revoked_key_ends_within_a_second(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "commercial")
    api = Api(mesh, team.secrets["live"])
    assert (await api.get("/v1/jobs")).status_code == 200
    async with operator_channel(mesh, "accounts") as channel:
        request = accounts_pb2.RevokeKeyRequest(team_id=team.team_id, key_id=team.key_ids["live"])
        await AccountsServiceStub(channel).RevokeKey(request)
    async with asyncio.timeout(1):
        while (answer := await api.get("/v1/jobs")).status_code == 200:
            await asyncio.sleep(0.02)
    assert error_of(answer)[:2] == (401, "unauthorized")
    await api.close()


async def test_plans_limit_requests_as_published(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "student")).secrets["test"])
    answers = [await api.get("/v1/jobs") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[0].headers["x-ratelimit-limit"] == "20"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 6
    await api.close()


async def test_the_clients_request_id_is_in_the_answer_and_in_the_log(mesh: LocalMesh, api: Api) -> None:
    request_id = f"trace-{uuid.uuid4().hex}"
    answer = await api.submit({**BELL_JOB, "hardware": "nowhere"}, **{"X-Request-Id": request_id})
    assert answer.headers["x-request-id"] == request_id
    assert request_id in mesh.layout.log("edge").read_text()


async def test_an_id_with_a_line_end_behind_it_is_no_id(api: Api) -> None:
    for side in ("before", "after"):
        assert error_of(await api.get(f"/v1/jobs?{side}=qm_job_{'0' * 32}%0A")) == (400, "bad_request", side)
