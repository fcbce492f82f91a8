"""The table of errors: each status has its type, and a body that says what is wrong and where to read on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from edge.dialects.qmumma.errors import ErrorBody
from edge.dialects.qmumma.idempotency import own_key
from tests.live import BELL_JOB, Api, assert_is, error_of

JSON = {"Content-Type": "application/json"}
SUBMIT = ("POST", "/v1/jobs/submit")


@pytest.mark.parametrize(
    ("request_line", "sent", "expected"),
    [
        (SUBMIT, {"content": b"{", "headers": JSON}, (400, "bad_request", "")),
        (SUBMIT, {"json": {}}, (400, "bad_request", "algorithm_id")),
        (("GET", "/v1/jobs"), {"headers": {"Authorization": ""}}, (401, "unauthorized", "")),
        (("GET", "/v1/jobs"), {"headers": {"Authorization": "Bearer qm_live_sk_none"}}, (401, "unauthorized", "")),
        (("GET", f"/v1/jobs/qm_job_{'0' * 32}"), {}, (404, "not_found", "job_id")),
        (("GET", "/v1/jobs/nothing"), {}, (404, "not_found", "job_id")),
        (("DELETE", "/v1/keys/nothing"), {}, (404, "not_found", "key_id")),
        (("POST", "/v1/webhooks/deliveries/nothing/retry"), {}, (404, "not_found", "delivery_id")),
        (("GET", "/v1/billing/statements/nothing"), {}, (404, "not_found", "month")),
        (("GET", "/v1/nothing"), {}, (404, "not_found", "")),
        (SUBMIT, {"json": {**BELL_JOB, "algorithm_id": "nothing.v1"}}, (404, "not_found", "algorithm_id")),
        (("PATCH", "/v1/jobs"), {}, (405, "method_not_allowed", "")),
        (SUBMIT, {"content": b" " * (4 * 1024 * 1024 + 1), "headers": JSON}, (413, "too_large", "")),
        (SUBMIT, {"content": b"a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
         (415, "unsupported_media_type", "")),
    ],
)  # fmt: skip
async def test_each_status_has_its_type(
    own: Api, request_line: tuple[str, str], sent: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    answer = await own.http.request(*request_line, **sent)
    assert error_of(answer) == expected
    assert_is_error(answer)


def assert_is_error(answer: httpx.Response) -> None:
    """The body is that of the contract, and leads to where its type is explained."""
    error = assert_is(answer, ErrorBody)["error"]
    assert (
        {"type", "message", "request_id", "doc_url"}
        <= set(error)
        <= {"type", "message", "request_id", "doc_url", "param"}
    )
    assert error["message"]
    assert error["doc_url"].endswith(f"/docs/errors#{error['type']}")


async def test_a_conflict_is_409(api: Api) -> None:
    key = {"Idempotency-Key": own_key()}
    await api.submit(BELL_JOB, **key)
    answer = await api.submit({**BELL_JOB, "shots": 2048}, **key)
    assert error_of(answer) == (409, "conflict", "Idempotency-Key")
    assert_is_error(answer)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("rate_limited", (429, "rate_limited", "")), ("hardware_offline", (503, "hardware_unavailable", "hardware"))],
)
async def test_429_and_503_say_when_to_come_again(api: Api, fault: str, expected: tuple[int, str, str]) -> None:
    answer = await api.submit({**BELL_JOB, "hardware": "sim.statevector"}, **{"X-Test-Fault": fault})
    assert error_of(answer) == expected
    assert int(answer.headers["retry-after"]) >= 1
    assert_is_error(answer)


async def test_every_type_is_explained_where_doc_url_leads(anyone: Api) -> None:
    page = (await anyone.get("/docs/errors")).text
    for kind in ("bad_request", "unauthorized", "payment_required", "forbidden", "not_found", "method_not_allowed",
                 "conflict", "too_large", "unsupported_media_type", "rate_limited", "server_error",
                 "hardware_unavailable"):  # fmt: skip
        assert f'id="{kind}"' in page
