"""Jobs over HTTP: what is sent to execution, and how its jobs are shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any

import httpx
import pytest
import rfc8785
from qm.execution.v1 import execution_pb2 as pb

from edge.bodies import parse_text
from edge.dialects.qmumma.answers import Job, JobPage, JobSummary, SubmittedJob
from edge.values import body_of
from mesh.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    MeshError,
    PaymentRequired,
    PermissionDenied,
    Unavailable,
)

SUBMIT = "/v1/jobs/submit"
BODY: dict[str, Any] = {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "H2"}}
ID = "qm_job_00000000000000000000000000000001"


def assert_is(answer: httpx.Response, kind: type) -> None:
    """The answer is what the document says it is."""
    value = parse_text(answer.content)
    body_of(value, kind)
    assert set(value) <= set(kind.__struct_fields__)  # type: ignore[attr-defined]


async def test_submit_answers_202_with_the_job_its_place_and_the_routing(world: Any, client: httpx.AsyncClient) -> None:
    answer = await client.post(SUBMIT, json=BODY)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{ID}"
    assert answer.json() == {
        "job_id": ID,
        "status": "queued",
        "hardware": "sim.statevector",
        "estimated_ms": 8400,
        "cost_usd": 50.0,
        "routing": {
            "backend": "sim.statevector",
            "reason": "exact and fast",
            "kind": "simulator",
            "alternatives": [
                {"backend": "sim.stabilizer", "eligible": False, "reason": "no Clifford circuit"},
                {"backend": "sim.mps", "eligible": True, "reason": "slower", "estimated_ms": 9000},
            ],
        },
    }
    assert b'"cost_usd":50.00' in answer.content
    assert_is(answer, SubmittedJob)
    sent = world.execution.submissions[0]
    assert (sent.hardware, sent.shot_count, sent.priority) == ("auto", 4096, pb.PRIORITY_STANDARD)
    assert dict(sent.parameters) == {"molecule": "H2"}
    assert not sent.HasField("seed")
    assert not sent.allow_twin
    assert not sent.HasField("max_cost")


async def test_submit_carries_every_field_exactly(world: Any, client: httpx.AsyncClient) -> None:
    text = (
        '{"algorithm_id":"a","hardware":"sim.mps","shots":2048.0,"priority":"priority","seed":9223372036854775807,'
        '"max_cost_usd":0.100001,"allow_twin":true,"parameters":{"a":[1,2.5,null,true,{"b":"c"}]}}'
    )
    answer = await client.post(SUBMIT, content=text, headers={"content-type": "application/json; charset=UTF-8"})
    assert answer.status_code == 202
    sent = world.execution.submissions[0]
    assert (sent.shot_count, sent.seed, sent.max_cost.micros) == (2048, 2**63 - 1, 100_001)
    assert (sent.priority, sent.hardware, sent.allow_twin) == (pb.PRIORITY_PRIORITY, "sim.mps", True)
    assert list(sent.parameters["a"])[:4] == [1, 2.5, None, True]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"shots": 1023}, "shots"),
        ({"shots": 131073}, "shots"),
        ({"shots": 4096.5}, "shots"),
        ({"shots": "4096"}, "shots"),
        ({"shots": True}, "shots"),
        ({"shots": None}, "shots"),
        ({"shots": 10**30}, "shots"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"max_cost_usd": 0.1000001}, "max_cost_usd"),
        ({"max_cost_usd": -1}, "max_cost_usd"),
        ({"max_cost_usd": "1"}, "max_cost_usd"),
        ({"max_cost_usd": True}, "max_cost_usd"),
        ({"max_cost_usd": 1e18}, "max_cost_usd"),
        ({"priority": "urgent"}, "priority"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"n": 2**53 + 1}}, "parameters.n"),
        ({"algorithm_id": ""}, "algorithm_id"),
        ({"algorithm_id": "x" * 129}, "algorithm_id"),
        ({"hardware": ""}, "hardware"),
        ({"webhook_url": ""}, "webhook_url"),
        ({"webhook_url": "https://your.app/" + "x" * 2048}, "webhook_url"),
        ({"quote_id": "q"}, "quote_id"),
        ({"Shots": 4096}, "Shots"),
    ],
)
async def test_submit_refuses_what_is_wrong_and_names_the_field(
    world: Any, client: httpx.AsyncClient, change: dict[str, Any], param: str
) -> None:
    answer = await client.post(SUBMIT, json={**BODY, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error.get("param", "")) == (400, "bad_request", param)
    assert error["message"].startswith(param)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["doc_url"] == "http://edge.test/docs/errors#bad_request"
    assert world.execution.submissions == []


async def test_a_webhook_goes_with_the_job(world: Any, client: httpx.AsyncClient) -> None:
    url = "https://your.app/hook"
    assert (await client.post(SUBMIT, json={**BODY, "webhook_url": url})).status_code == 202
    assert world.execution.submissions[-1].webhook_url == url


async def test_a_missing_algorithm_is_named(client: httpx.AsyncClient) -> None:
    error = (await client.post(SUBMIT, json={})).json()["error"]
    assert (error["param"], error["message"]) == ("algorithm_id", "algorithm_id: is required")


@pytest.mark.parametrize("depth", [32, 90])
async def test_parameters_deeper_than_protobuf_carries_are_refused(client: httpx.AsyncClient, depth: int) -> None:
    nested: Any = "x"
    for _ in range(depth):
        nested = {"a": nested}
    answer = await client.post(SUBMIT, json={**BODY, "parameters": nested})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("parameters.a.a")


async def test_a_repeat_answers_the_first_body_even_after_the_job_went_on(
    world: Any, client: httpx.AsyncClient
) -> None:
    headers = {"idempotency-key": "order 17"}
    first = await client.post(SUBMIT, json=BODY, headers=headers)
    job = next(iter(world.execution.jobs.values()))
    job.backend_id, job.cost.micros = "sim.mps", 0
    await world.execution.complete(job)
    reordered = json.dumps(dict(reversed(BODY.items())), indent=3)
    second = await client.post(SUBMIT, content=reordered, headers={**headers, "content-type": "application/json"})
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(world.execution.jobs) == 1


async def test_the_same_key_with_another_body_is_a_conflict(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "k"}
    await client.post(SUBMIT, json=BODY, headers=headers)
    answer = await client.post(SUBMIT, json={**BODY, "shots": 2048}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "conflict")


async def test_a_live_key_is_not_answered_with_the_job_of_a_test_key(world: Any) -> None:
    headers = {"idempotency-key": "k"}
    async with world.client("qm_test_sk_alice") as test, world.client("qm_live_sk_alice") as live:
        assert (await test.post(SUBMIT, json=BODY, headers=headers)).status_code == 202
        assert (await live.post(SUBMIT, json=BODY, headers=headers)).status_code == 409


@pytest.mark.parametrize(("left", "right"), [({"x": 1.5}, {"x": "1.5"}), ({"x": 1}, {"x": True}), ({"x": 0}, {})])
async def test_bodies_that_differ_in_type_alone_have_other_fingerprints(
    world: Any, client: httpx.AsyncClient, left: Any, right: Any
) -> None:
    for parameters in (left, right):
        await client.post(SUBMIT, json={**BODY, "parameters": parameters})
    first, second = world.execution.submissions
    assert first.fingerprint != second.fingerprint
    assert len(first.fingerprint) == 32


@pytest.mark.parametrize("key", ["", "x" * 256, "ümlaut", "tab\there"])
async def test_an_unfit_idempotency_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post(SUBMIT, json=BODY, headers=[(b"idempotency-key", key.encode())])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_requests_without_a_key_are_still_safe_for_the_mesh_to_repeat(
    world: Any, client: httpx.AsyncClient
) -> None:
    for _ in range(2):
        assert "idempotency-replayed" not in (await client.post(SUBMIT, json=BODY)).headers
    first, second = (sent.request_id for sent in world.execution.submissions)
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize(
    ("error", "status", "type_", "blamed"),
    [
        (InvalidArgument("m", reason="INVALID_PARAMETERS", field="parameters.molecule"), 400, "bad_request", True),
        (InvalidArgument("m", reason="MAX_COST_EXCEEDED", field="max_cost_usd"), 400, "bad_request", True),
        (InvalidArgument("m", reason="INVALID_FIELD", field="shot_count"), 400, "bad_request", True),
        (PaymentRequired("m", reason="BUDGET_EXCEEDED"), 402, "payment_required", False),
        (PermissionDenied("m", reason="QUOTA_EXCEEDED"), 403, "forbidden", False),
        (PermissionDenied("m", reason="CALLER_NOT_ALLOWED"), 500, "server_error", False),
        (Unavailable("m", reason="HARDWARE_UNAVAILABLE", field="hardware"), 503, "hardware_unavailable", True),
        (Unavailable("127.0.0.1:7101 refused", reason="PEER_UNAVAILABLE"), 503, "hardware_unavailable", False),
        (DeadlineExceeded("/qm.execution…", reason="DEADLINE_EXCEEDED"), 503, "hardware_unavailable", False),
        (Internal("m", reason="INTERNAL"), 500, "server_error", False),
        (ZeroDivisionError("secret"), 500, "server_error", False),
    ],
)
async def test_what_the_mesh_says_is_told_in_the_words_of_the_dialect(
    world: Any, client: httpx.AsyncClient, error: Exception, status: int, type_: str, *, blamed: bool
) -> None:
    world.execution.error = error
    answer = await client.post(SUBMIT, json=BODY)
    detail = answer.json()["error"]
    assert (answer.status_code, detail["type"], "param" in detail) == (status, type_, blamed)
    if isinstance(error, MeshError) and error.field:
        assert detail["param"] == {"shot_count": "shots"}.get(error.field, error.field)
    assert ("retry-after" in answer.headers) == (status == 503)
    spoken = isinstance(error, MeshError) and status != 500 and error.message == "m"
    assert (detail["message"] == "m") == spoken
    assert not any(word in answer.text for word in ("secret", "7101", "qm.execution"))


async def test_a_queued_job_shows_what_every_job_has(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    answer = await client.get(f"/v1/jobs/{ID}")
    assert answer.json() == {
        "job_id": ID,
        "status": "queued",
        "algorithm_id": "vqe.molecular.v2",
        "hardware": "sim.statevector",
        "shots": 4096,
        "priority": "standard",
        "created_at": "2026-11-21T04:00:00.125000Z",
        "cost_usd": 50.0,
    }
    assert answer.headers["etag"] == '"1"'


async def test_a_running_job_shows_progress_and_a_failed_one_its_error(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make(state=pb.JOB_STATE_RUNNING)
    job.progress, job.progress_message = 0.25, "iteration 3"
    assert (await client.get(f"/v1/jobs/{ID}")).json()["progress"] == {"fraction": 0.25, "message": "iteration 3"}
    job.state, job.error.type, job.error.message = pb.JOB_STATE_FAILED, "server_error", "lost"
    failed = (await client.get(f"/v1/jobs/{ID}")).json()
    assert failed["error"] == {"type": "server_error", "message": "lost"}
    assert "progress" not in failed


async def test_a_completed_job_is_its_record_byte_for_byte_and_what_proves_it(
    world: Any, client: httpx.AsyncClient
) -> None:
    job = world.execution.make()
    await world.execution.complete(job)
    answer = await client.get(f"/v1/jobs/{ID}")
    assert answer.content.startswith(job.record[:-1])
    shown = answer.json()
    assert base64.b64decode(shown["pqc_signature"]) == job.seal.signature
    assert shown["audit_hash"] == f"sha256:{job.seal.audit_hash.hex()}"
    assert shown["blockchain_anchor"] == "vajra://txid/" + "ab" * 32
    assert shown["key_id"] == "vajra-2026-11"
    assert "proof" not in shown
    assert_is(answer, Job)
    record = {name: value for name, value in shown.items() if name not in PROOF}
    assert rfc8785.dumps(record) == job.record


PROOF = {"pqc_signature", "audit_hash", "blockchain_anchor", "key_id", "proof"}


async def test_a_completed_job_says_when_beside_its_record(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make()
    job.end_time.FromJsonString("2026-11-21T04:00:02.5Z")
    await world.execution.complete(job)
    answer = await client.get(f"/v1/jobs/{ID}")
    assert answer.json()["completed_at"] == "2026-11-21T04:00:02.500000Z"
    assert b"completed_at" not in job.record
    assert "completed_at" not in (await client.get(f"/v1/jobs/{ID}?include=proof")).json()


async def test_include_proof_adds_the_log_entry_and_a_digest_of_every_member(
    world: Any, client: httpx.AsyncClient
) -> None:
    job = world.execution.make()
    await world.execution.complete(job)
    answer = await client.get(f"/v1/jobs/{ID}?include=proof")
    shown = answer.json()
    proof = shown["proof"]
    assert answer.headers["etag"] == '"2-proof"'
    assert (proof["leaf"], proof["leaf_index"], proof["tree_size"], proof["checkpoint"]) == ('{"v":1}', 4, 6, "note\n")
    nodes = [base64.b64decode(node) for node in proof["inclusion"]]
    assert nodes == [b"\x01" * 32, b"\x02" * 32]
    assert proof["inclusion_digests"] == [f"sha256:{hashlib.sha256(node).hexdigest()}" for node in nodes]
    assert proof["digests"] == {
        name: f"sha256:{hashlib.sha256(rfc8785.dumps(value)).hexdigest()}"
        for name, value in shown.items()
        if name not in PROOF
    }
    assert_is(answer, Job)


async def test_a_completed_job_without_its_record_is_a_mute_500(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make(state=pb.JOB_STATE_COMPLETED)
    answer = await client.get(f"/v1/jobs/{ID}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")


async def test_if_none_match_answers_304_until_the_job_changes(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make()
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await client.get(f"/v1/jobs/{ID}", headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
        assert answer.headers["x-ratelimit-limit"] == "60000"
    job.version = 2
    assert (await client.get(f"/v1/jobs/{ID}", headers={"if-none-match": '"1"'})).status_code == 200
    assert (await client.get(f"/v1/jobs/{ID}?include=proof", headers={"if-none-match": '"2"'})).status_code == 200


async def test_wait_holds_the_answer_until_the_job_changes(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make()
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{ID}?wait=30", headers={"if-none-match": '"1"'}))
    await world.execution.watched.wait()
    assert not waiting.done()
    await world.execution.complete(job)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (200, "completed", '"2"')
    assert world.execution.watching == 0


async def test_wait_answers_at_once_where_the_caller_is_behind_or_the_job_has_ended(
    world: Any, client: httpx.AsyncClient
) -> None:
    job = world.execution.make()
    behind = await client.get(f"/v1/jobs/{ID}?wait=30", headers={"if-none-match": '"0"'})
    assert (behind.status_code, behind.json()["status"]) == (200, "queued")
    await world.execution.complete(job)
    assert (await client.get(f"/v1/jobs/{ID}?wait=30", headers={"if-none-match": '"2"'})).status_code == 304


async def test_wait_ends_with_304_when_its_time_is_up(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    answer = await client.get(f"/v1/jobs/{ID}?wait=1", headers={"if-none-match": '"1"'})
    assert answer.status_code == 304
    assert world.execution.watching == 0


async def test_draining_ends_waits_at_once(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{ID}?wait=30"))
    await world.execution.watched.wait()
    world.edge.draining.set()
    assert (await waiting).json()["status"] == "queued"


@pytest.mark.parametrize("query", ["wait=31", "wait=-1", "wait=x", "wait=", "include=all", "wat=1", "wait=1&wait=1"])
async def test_a_wrong_query_is_named(world: Any, client: httpx.AsyncClient, query: str) -> None:
    world.execution.make()
    answer = await client.get(f"/v1/jobs/{ID}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize("query", ["wait=%ff", "&".join(f"a{n}=1" for n in range(40))])
async def test_a_malformed_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/jobs/{ID}?{query}")).status_code == 400


@pytest.mark.parametrize(
    "job_id", ["1", "qm_job_1", ID + "0", ID.upper(), "%00", "%ff%fe", "..%2f..", "qm_job_" + "g" * 32, "x" * 5000]
)
async def test_what_is_no_job_id_is_not_found(client: httpx.AsyncClient, job_id: str) -> None:
    answer = await client.get(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


async def test_a_job_of_another_team_does_not_exist(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make(team=2)
    for answer in (
        await client.get(f"/v1/jobs/{ID}"),
        await client.post(f"/v1/jobs/{ID}/cancel"),
        await client.get(f"/v1/jobs/{ID}/events"),
    ):
        assert answer.status_code == 404
    assert (await client.get("/v1/jobs")).json() == {"jobs": [], "has_more": False}


async def test_listing_passes_the_page_and_shows_jobs_without_results(world: Any, client: httpx.AsyncClient) -> None:
    for number in (1, 2, 3):
        await world.execution.complete(world.execution.make(number=number))
    answer = await client.get(f"/v1/jobs?limit=2&status=completed&after={ID}")
    page = answer.json()
    assert page["has_more"] is True
    assert [job["status"] for job in page["jobs"]] == ["completed", "completed"]
    assert "result" not in page["jobs"][0]
    assert_is(answer, JobPage)
    sent = world.execution.lists[0]
    assert (sent.page_size, sent.state) == (2, pb.JOB_STATE_COMPLETED)
    assert (sent.after_job_id, sent.before_job_id) == ("00000000-0000-0000-0000-000000000001", "")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (f"before={ID}&after={ID}", "before"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=done", "status"),
        ("after=1", "after"),
    ],
)
async def test_a_wrong_page_is_refused(client: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_cancel_takes_an_empty_body_and_answers_the_job(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    answer = await client.post(f"/v1/jobs/{ID}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["cost_usd"]) == (202, "cancelled", 0)
    assert_is(answer, JobSummary)
    again = await client.post(f"/v1/jobs/{ID}/cancel", json={})
    assert (again.status_code, again.json()["error"]["type"]) == (409, "conflict")
    assert (await client.post(f"/v1/jobs/{ID}/cancel", json={"why": 1})).json()["error"]["param"] == "why"
