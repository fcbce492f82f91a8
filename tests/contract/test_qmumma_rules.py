"""The rules that hold in every dialect, by their numbers in the contract, as the Q-MUMMA dialect keeps them."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.mesh import LocalMesh
from tests.live import BELL_JOB, Api, Team, error_of

NOWHERE = {"GET": f"/v1/jobs/qm_job_{'0' * 32}", "POST": f"/v1/jobs/qm_job_{'0' * 32}/cancel"}


def moments(value: Any, name: str = "") -> Iterator[str]:
    """Every time in an answer, by the ends of the names that times have."""
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from moments(each, inner)
    elif isinstance(value, list):
        for each in value:
            yield from moments(each, name)
    elif isinstance(value, str) and name.endswith("_at"):
        yield value


async def test_1_a_jobs_id_is_its_uuid_of_version_7(own: Api) -> None:
    job_id = (await own.submit()).json()["job_id"]
    assert job_id.startswith("qm_job_")
    assert (len(job_id), uuid.UUID(job_id.removeprefix("qm_job_")).version) == (39, 7)


@pytest.mark.parametrize("environment", ["live", "test"])
async def test_2_what_another_team_has_does_not_exist(mesh: LocalMesh, own: Api, environment: str) -> None:
    job = await own.run()
    stranger = Api(mesh, (await Team.create(mesh, "commercial")).secrets[environment])
    certified = await own.patient_post("/v1/entropy/generate", {"bits": 8, "certification": True})
    quote = (await own.http.post("/v1/jobs/quote", json=BELL_JOB)).json()["quote_id"]
    path = f"/v1/jobs/{job['job_id']}"
    reads = [path, *(f"{path}/{each}" for each in ("events", "decision", "result", "certificate", "evidence"))]
    record = f"/v1/entropy/records/{certified.json()['entropy_id']}"
    for place in (*reads, f"{path}?wait=1", f"{path}?include=proof", record, f"{record}/plot.svg"):
        assert error_of(await stranger.get(place))[:2] == (404, "not_found"), place
    assert error_of(await stranger.http.post(f"{path}/cancel"))[:2] == (404, "not_found")
    assert error_of(await stranger.submit({**BELL_JOB, "quote_id": quote}))[:2] == (404, "not_found")
    for page in ("/v1/jobs", f"/v1/jobs?after={job['job_id']}", f"/v1/jobs?before={job['job_id']}"):
        assert (await stranger.get(page)).json() == {"jobs": [], "has_more": False}
    await stranger.close()


async def test_3_test_keys_have_the_same_fields_as_live_ones_and_pay_nothing(mesh: LocalMesh, big: Team) -> None:
    live, test = Api(mesh, big.secrets["live"]), Api(mesh, big.secrets["test"])
    billed, free = await asyncio.gather(live.run(), test.run())
    assert (set(billed), set(billed["execution"])) == (set(free), set(free["execution"]))
    assert billed["cost_usd"] > 0 == free["cost_usd"]
    wrong = {**BELL_JOB, "shots": 1}
    assert error_of(await live.submit(wrong)) == error_of(await test.submit(wrong))
    for each in (live, test):
        await each.close()


async def test_4_every_post_that_creates_or_spends_is_repeated_with_its_first_answer(own: Api) -> None:
    made = await own.http.post("/v1/keys", json={"name": "rotated", "environment": "test"})
    posts: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("/v1/jobs/submit", BELL_JOB, {**BELL_JOB, "shots": 2048}),
        ("/v1/jobs/quote", BELL_JOB, {**BELL_JOB, "shots": 2048}),
        ("/v1/keys", {"name": "a", "environment": "test"}, {"name": "b", "environment": "test"}),
        (f"/v1/keys/{made.json()['key_id']}/rotate", {"grace_seconds": 60}, {"grace_seconds": 61}),
        ("/v1/webhooks/secret/rotate", {"grace_seconds": 60}, {"grace_seconds": 61}),
        ("/v1/entropy/generate", {"bits": 64}, {"bits": 65}),
    ]
    for path, body, other in posts:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first, again = [await own.patient_post(path, body, **key) for _ in range(2)]
        assert (first.status_code, first.content) == (again.status_code, again.content), path
        assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
        assert error_of(await own.http.post(path, json=other, headers=key)) == (409, "conflict", "Idempotency-Key"), (
            path
        )


async def test_4_an_idempotency_key_is_1_to_255_printable_characters(own: Api) -> None:
    for good in (uuid.uuid4().hex + 223 * "k", f"{uuid.uuid4()} ~"):
        assert (await own.submit(BELL_JOB, **{"Idempotency-Key": good})).status_code == 202
    for bad in (256 * "k", "", "a\tb"):
        answer = await own.submit(BELL_JOB, **{"Idempotency-Key": bad})
        assert error_of(answer) == (400, "bad_request", "Idempotency-Key")


async def test_4_a_repeat_makes_no_second_job_even_at_once(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["live"])
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = await asyncio.gather(*(api.submit(BELL_JOB, **key) for _ in range(8)))
    assert ({answer.status_code for answer in answers}, len({answer.content for answer in answers})) == ({202}, 1)
    assert len((await api.get("/v1/jobs")).json()["jobs"]) == 1
    await api.close()


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/nothing", "/v1/openapi.json", "/docs", f"/v1/jobs/qm_job_{'0' * 32}"]
)
async def test_5_every_answer_carries_the_callers_request_id_or_a_new_one(own: Api, path: str) -> None:
    longest = "r" * 128
    assert (await own.get(path, **{"X-Request-Id": longest})).headers["x-request-id"] == longest
    for bad in ("r" * 129, "a\tb"):
        assert (await own.get(path, **{"X-Request-Id": bad})).headers["x-request-id"].startswith("req_")
    fresh = {(await own.get(path)).headers["x-request-id"] for _ in range(2)}
    assert len(fresh) == 2


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/keys", "/v1/jobs?limit=0", f"/v1/jobs/qm_job_{'0' * 32}"])
async def test_6_every_answer_to_a_key_tells_its_limit(own: Api, path: str) -> None:
    answer = await own.get(path)
    for name in ("limit", "remaining", "reset"):
        assert int(answer.headers[f"x-ratelimit-{name}"]) > 0


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (b"[]", ""),
        (b"null", ""),
        (b"", ""),
        (b'{"algorithm_id":"vqe.molecular.v2","parameters":{"molecule":7}}', "parameters.molecule"),
        (b'{"algorithm_id":"vqe.molecular.v2","parameters":{"molecule":"U"}}', "parameters.molecule"),
        (b'{"algorithm_id":"vqe.molecular.v2","algorithm_id":"x"}', "algorithm_id"),
        (b'{"algorithm_id":"vqe.molecular.v2","shots":1e400}', "shots"),
        (b'{"algorithm_id":"vqe.molecular.v2","shots":NaN}', "shots"),
        (b'{"algorithm_id":"\xff"}', ""),
        (b'{"algorithm_id":"\\ud800"}', "algorithm_id"),
        (b"[" * 100_000, ""),
    ],
)
async def test_7_what_is_malformed_is_refused_by_its_name(own: Api, sent: bytes, param: str) -> None:
    answer = await own.http.post("/v1/jobs/submit", content=sent, headers={"Content-Type": "application/json"})
    assert error_of(answer) == (400, "bad_request", param)


async def test_8_every_time_is_rfc_3339_in_utc_with_a_z(own: Api) -> None:
    job = await own.run()
    key = (await own.get("/v1/keys")).json()
    quote = (await own.http.post("/v1/jobs/quote", json=BELL_JOB)).json()
    told = [*moments(job), *moments(key), *moments(quote)]
    assert len(told) > 6
    for text in told:
        assert text.endswith("Z")
        assert dt.datetime.fromisoformat(text).tzinfo == dt.UTC


async def test_8_money_is_an_exact_decimal(own: Api) -> None:
    for text, status in (("0.1000001", 400), ("1000000000.000001", 400), ("-0.01", 400), ("999999.999999", 202)):
        body = f'{{"algorithm_id":"circuit.openqasm.v1","parameters":{{"qasm":"{QASM_1}"}},"max_cost_usd":{text}}}'
        answer = await own.http.post("/v1/jobs/submit", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
    assert '"cost_usd":0.' in (await own.submit()).text


QASM_1 = "OPENQASM 3.0; qubit[2] q; bit[2] c; U(3.141592653589793,0,0) q[0]; c = measure q;"


async def test_9_qubit_0_is_the_rightmost_of_a_count(own: Api) -> None:
    job = await own.run({"algorithm_id": "circuit.openqasm.v1", "shots": 1024, "parameters": {"qasm": QASM_1}})
    assert job["result"]["counts"] == {"01": 1024}


async def test_11_a_result_says_what_made_it(own: Api) -> None:
    on_simulator, on_twin = await asyncio.gather(own.run(), own.run({**BELL_JOB, "hardware": "ibm_marrakesh"}))
    assert [job["execution"]["simulated"] for job in (on_simulator, on_twin)] == [True, True]
    assert (on_simulator["execution"]["calibration_id"], on_simulator["hardware"][:4]) == (None, "sim.")
    assert on_twin["execution"]["calibration_id"].startswith("ibm_marrakesh@")
    for job in (on_simulator, on_twin):
        assert {"engine", "engine_version", "seed"} <= set(job["execution"])


async def test_12_the_document_and_its_pages_are_served_and_load_nothing_from_elsewhere(anyone: Api) -> None:
    document = (await anyone.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.0.")
    assert "/v1/jobs/submit" in document["paths"]
    for page in ("/docs", "/redoc"):
        answer = await anyone.get(page)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_clients_request_id_is_in_the_answer_and_in_the_log(mesh: LocalMesh, api: Api) -> None:
    request_id = f"trace-{uuid.uuid4().hex}"
    answer = await api.submit({**BELL_JOB, "hardware": "nowhere"}, **{"X-Request-Id": request_id})
    assert answer.headers["x-request-id"] == request_id
    async with asyncio.timeout(10):  # the line is on its way to the file when the client has its answer
        while request_id not in mesh.layout.log("edge").read_text():
            await asyncio.sleep(0.02)
