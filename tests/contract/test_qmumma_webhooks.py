"""Webhooks: each line of the contract, against the running mesh, with a real endpoint."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from deploy.local.mesh import LocalMesh
from edge.bodies import parse_text
from edge.dialects.qmumma.webhooks import Delivery, DeliveryPage, WebhookSecret
from edge.values import body_of
from tests.live import BELL_JOB, Api, Team
from tests.sink import Received, Sink, sink, status


@pytest_asyncio.fixture(scope="module")
async def hooked(mesh: LocalMesh) -> AsyncIterator[Api]:
    """A team of its own, with its test key."""
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["test"])
    yield api
    await api.close()


@pytest_asyncio.fixture(scope="module", autouse=True)
async def refused(hooked: Api) -> AsyncIterator[tuple[Sink, str]]:
    """An endpoint that takes only the second try, and a job that tells it: it waits while the other tests run."""
    async with sink() as endpoint:

        async def once(_request: Received) -> bytes:
            return status(503 if len(endpoint.received) == 1 else 204)

        endpoint.reply = once
        yield endpoint, await submit(hooked, endpoint.url())


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Sink]:
    async with sink() as endpoint:
        yield endpoint


async def submit(api: Api, url: str, faults: str = "", **changes: Any) -> str:
    headers = {"X-Test-Fault": faults} if faults else {}
    answer = await api.submit({**BELL_JOB, "webhook_url": url, **changes}, **headers)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


async def deliveries(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = await api.http.get("/v1/webhooks/deliveries", params=query)
    body_of(parse_text(answer.content), DeliveryPage)
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def delivery(api: Api, job_id: str, reached: str, count: int = 1) -> dict[str, Any]:
    """The job's delivery once its status is reached, after so many tries."""
    async with asyncio.timeout(20):
        while True:
            found = await deliveries(api, job_id=job_id)
            if found and found[0]["status"] == reached and len(found[0]["attempts"]) >= count:
                return found[0]
            await asyncio.sleep(0.02)


async def secret_of(api: Api) -> str:
    answer = await api.get("/v1/webhooks/secret")
    body_of(parse_text(answer.content), WebhookSecret)
    secret: str = answer.json()["secret"]
    return secret


async def test_the_body_is_exactly_event_job_status_and_timestamp(hooked: Api, endpoint: Sink) -> None:
    job_id = await submit(hooked, endpoint.url("/completed"))
    [request] = await endpoint.wait(1)
    body = json.loads(request.body)
    assert list(body) == ["event", "job_id", "status", "timestamp"]
    assert (body["event"], body["job_id"], body["status"]) == ("job.completed", job_id, "completed")
    job = (await hooked.get(f"/v1/jobs/{job_id}")).json()
    assert body["timestamp"] == job["completed_at"]
    assert body["timestamp"].endswith("Z")


async def test_jobs_of_a_live_key_are_told_of_alike(mesh: LocalMesh, big: Team, endpoint: Sink) -> None:
    live, test = Api(mesh, big.secrets["live"]), Api(mesh, big.secrets["test"])
    job_ids = {await submit(live, endpoint.url()), await submit(test, endpoint.url())}
    told = await endpoint.wait(2)
    assert {json.loads(request.body)["job_id"] for request in told} == job_ids
    secret = await secret_of(live)
    assert secret == await secret_of(test), "one for the team"
    for request in told:
        assert Webhook(secret).verify(request.body, request.headers)
    for each in (live, test):
        await each.close()


async def test_a_failed_and_a_rerouted_job_are_told_of(hooked: Api, endpoint: Sink) -> None:
    job_id = await submit(hooked, endpoint.url(), "engine_crash")
    told = [json.loads(request.body) for request in await endpoint.wait(2)]
    assert {(each["event"], each["status"], each["job_id"]) for each in told} == {
        ("job.rerouted", "queued", job_id),
        ("job.failed", "failed", job_id),
    }


async def test_a_cancelled_job_is_told_of(hooked: Api, endpoint: Sink) -> None:
    job_id = await submit(hooked, endpoint.url(), "queue_delay=600")
    assert (await hooked.http.post(f"/v1/jobs/{job_id}/cancel")).status_code == 202
    [request] = await endpoint.wait(1)
    body = json.loads(request.body)
    assert (body["event"], body["status"], body["job_id"]) == ("job.cancelled", "cancelled", job_id)


async def test_the_raw_body_is_signed_with_hmac_sha256(hooked: Api, endpoint: Sink) -> None:
    await submit(hooked, endpoint.url())
    [request] = await endpoint.wait(1)
    digest = hmac.new((await secret_of(hooked)).encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-qmumma-signature"] == f"sha256={digest}"


async def test_the_headers_of_standard_webhooks_verify_with_their_own_library(hooked: Api, endpoint: Sink) -> None:
    await submit(hooked, endpoint.url())
    [request] = await endpoint.wait(1)
    told = Webhook(await secret_of(hooked)).verify(request.body, request.headers)
    assert told == json.loads(request.body)
    assert request.headers["x-qmumma-timestamp"] == request.headers["webhook-timestamp"]


async def test_the_log_tells_status_latency_and_tries(hooked: Api, endpoint: Sink) -> None:
    async def wordy(_request: Received) -> bytes:
        return status(200, b"thanks \x00\x1b[31m" + b"x" * 5000)

    endpoint.reply = wordy
    job_id = await submit(hooked, endpoint.url("/log?token=1"))
    told = await delivery(hooked, job_id, "delivered")
    assert (told["event"], told["job_id"], told["attempt_count"]) == ("job.completed", job_id, 1)
    assert told["endpoint"] == {"url": endpoint.url("/log?token=1")}
    [attempt] = told["attempts"]
    assert attempt["response_status"] == 200
    assert attempt["latency_ms"] >= 1
    assert attempt["response_body"].startswith("thanks \ufffd\ufffd[31mxxx")
    assert len(attempt["response_body"]) <= 1024


async def test_the_log_is_read_in_pages_and_by_status(hooked: Api, endpoint: Sink) -> None:
    job_ids = [await submit(hooked, endpoint.url()) for _ in range(3)]
    for job_id in job_ids:
        await delivery(hooked, job_id, "delivered")
    listed = [each["delivery_id"] for each in await deliveries(hooked, limit=100)]
    assert listed == sorted(listed, reverse=True)
    first = (await hooked.get("/v1/webhooks/deliveries?limit=2")).json()
    assert ([each["delivery_id"] for each in first["deliveries"]], first["has_more"]) == (listed[:2], True)
    rest = await deliveries(hooked, limit=100, after=listed[1])
    assert [each["delivery_id"] for each in rest] == listed[2:]
    assert {each["status"] for each in await deliveries(hooked, status="delivered")} == {"delivered"}
    for wrong in ("limit=0", "limit=101", "after=x", "status=lost", "job_id=1", "unknown=1"):
        answer = await hooked.get(f"/v1/webhooks/deliveries?{wrong}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, wrong.partition("=")[0])


async def test_a_delivery_is_sent_again_on_demand_once_for_each_key(hooked: Api, endpoint: Sink) -> None:
    job_id = await submit(hooked, endpoint.url())
    told = await delivery(hooked, job_id, "delivered")
    path, key = f"/v1/webhooks/deliveries/{told['delivery_id']}/retry", {"Idempotency-Key": uuid.uuid4().hex}
    first = await hooked.http.post(path, headers=key)
    assert first.status_code == 202
    body_of(parse_text(first.content), Delivery)
    assert first.json()["status"] == "waiting"
    await delivery(hooked, job_id, "delivered", 2)
    again = await hooked.http.post(path, headers=key)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (202, first.content, "true")
    other = await hooked.http.post("/v1/webhooks/secret/rotate", headers=key)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")
    one, two = endpoint.received
    assert (one.headers["x-qmumma-delivery"], one.body) == (two.headers["x-qmumma-delivery"], two.body)


async def test_the_secret_is_replaced_and_the_old_one_signs_for_its_grace(hooked: Api, endpoint: Sink) -> None:
    old, key = await secret_of(hooked), {"Idempotency-Key": uuid.uuid4().hex}
    answer = await hooked.http.post("/v1/webhooks/secret/rotate", json={"grace_seconds": 60}, headers=key)
    assert answer.status_code == 201
    body_of(parse_text(answer.content), WebhookSecret)
    again = await hooked.http.post("/v1/webhooks/secret/rotate", json={"grace_seconds": 60}, headers=key)
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    new = await secret_of(hooked)
    assert new == answer.json()["secret"] != old
    await submit(hooked, endpoint.url())
    [request] = await endpoint.wait(1)
    for secret in (new, old):
        assert Webhook(secret).verify(request.body, request.headers)
    digest = hmac.new(new.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-qmumma-signature"] == f"sha256={digest}"
    await hooked.http.post("/v1/webhooks/secret/rotate", json={"grace_seconds": 0})
    await submit(hooked, endpoint.url())
    request = (await endpoint.wait(2))[1]
    assert " " not in request.headers["webhook-signature"]
    assert Webhook(await secret_of(hooked)).verify(request.body, request.headers)
    for wrong in (-1, 604_801, "1", None):
        answer = await hooked.http.post("/v1/webhooks/secret/rotate", json={"grace_seconds": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "grace_seconds")


async def test_another_teams_deliveries_and_secret_do_not_exist(mesh: LocalMesh, hooked: Api, endpoint: Sink) -> None:
    told = await delivery(hooked, await submit(hooked, endpoint.url()), "delivered")
    other = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    assert await deliveries(other) == []
    for delivery_id in (told["delivery_id"], str(uuid.uuid4()), "nonsense"):
        answer = await other.http.post(f"/v1/webhooks/deliveries/{delivery_id}/retry")
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert await secret_of(other) != await secret_of(hooked)
    await other.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://user:password@example.com/",
        "https://example.com:22/",
        "ftp://example.com/",
        "example.com/hook",
        "https://",
        "https://example.com/#fragment",
        "https://exa mple.com/",
    ],
)
async def test_a_url_that_may_not_be_called_is_refused_at_submission(hooked: Api, url: str) -> None:
    answer = await hooked.submit({**BELL_JOB, "webhook_url": url})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "bad_request", "webhook_url")


async def test_a_redirect_is_not_followed(hooked: Api, endpoint: Sink) -> None:
    async def elsewhere(_request: Received) -> bytes:
        return status(307, b"", f"Location: {endpoint.url('/elsewhere')}".encode())

    endpoint.reply = elsewhere
    job_id = await submit(hooked, endpoint.url("/here"))
    told = await delivery(hooked, job_id, "waiting", 1)
    assert told["attempts"][0]["response_status"] == 307
    assert told["next_attempt_at"] > told["attempts"][0]["attempted_at"]
    assert told["endpoint"]["failing_since"]
    assert [request.path for request in endpoint.received] == ["/here"]


async def test_what_was_not_taken_is_tried_again_after_five_seconds_with_the_same_id(
    hooked: Api, refused: tuple[Sink, str]
) -> None:
    endpoint, job_id = refused
    first, second = await endpoint.wait(2)
    done = await delivery(hooked, job_id, "delivered", 2)
    assert first.headers["x-qmumma-delivery"] == second.headers["x-qmumma-delivery"] == done["delivery_id"]
    assert str(uuid.UUID(done["delivery_id"])) == done["delivery_id"]
    assert second.body == first.body
    assert 5 <= int(second.headers["x-qmumma-timestamp"]) - int(first.headers["x-qmumma-timestamp"]) <= 9
    assert [each["response_status"] for each in done["attempts"]] == [503, 204]
    assert (done["attempt_count"], done["endpoint"]) == (2, {"url": endpoint.url()})
