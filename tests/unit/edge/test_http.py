"""HTTP itself: methods, paths, media types, bodies, ids of requests. Nothing that a client sends gives a 500."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SUBMIT = "/v1/jobs/submit"
JSON = {"content-type": "application/json"}
PREFIX = b'{"algorithm_id":"a","parameters":'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"a":1,}', "line 1, column 8"),
        (b'{"algorithm_id":"a"} x', "Extra data"),
        (b"\xff\xfe", "not valid UTF-8 at byte 0"),
        (b'{"algorithm_id":"\xc3\x28"}', "not valid UTF-8 at byte 17"),
        ('\ufeff{"algorithm_id":"a"}'.encode(), "line 1, column 1"),
        ('{"algorithm_id":"a"}'.encode("utf-16"), "not valid UTF-8"),
        (PREFIX + b'{"x":NaN}}', "NaN is not JSON"),
        (PREFIX + b'{"x":NaN, x', "The body: NaN is not JSON"),
        (PREFIX + b'{"x":NaN, "y":' + b"[" * 200_000, "The body: NaN is not JSON"),
        (PREFIX + b'{"x":-Infinity}}', "-Infinity is not JSON"),
        (PREFIX + b'{"x":1e400}}', "1e400 is out of range"),
        (PREFIX + b'{"x":1e-99999999999999999999}}', "out of range"),
        (PREFIX + b'{"x":' + b"9" * 5000 + b"}}", "out of range"),
        (PREFIX + b'{"x":18446744073709551616}}', "out of range"),
        (PREFIX + b'{"x":"\\ud800"}}', "surrogate"),
        (PREFIX + b'{"\\udfff":1}}', "surrogate"),
        (PREFIX + b'{"x":"\\u0000"}}', "U+0000"),
        (PREFIX + b"[" * 101 + b"]" * 101 + b"}", "deeper than 100"),
        (PREFIX + b"[" * 200_000 + b"]" * 200_000 + b"}", "deeper than 100"),
        (b'{"a":' * 100_000, "deeper than 100"),
        (b'{"algorithm_id":"a","algorithm_id":"b"}', "'algorithm_id' is given twice"),
        (PREFIX + b'{"x":{"y":1,"y":1}}}', "'y' is given twice"),
        (b"[]", "The body: must be an object, not an array"),
        (b"null", "The body"),
    ],
)
async def test_a_body_that_is_no_good_json_is_told_what_is_wrong(
    world: Any, client: httpx.AsyncClient, body: bytes, says: str
) -> None:
    answer = await client.post(SUBMIT, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "bad_request")
    assert says in answer.json()["error"]["message"]
    assert world.execution.submissions == []


@pytest.mark.parametrize(
    ("inner", "place"),
    [
        (b"1e400", "x"),
        (b"-Infinity", "x"),
        (b'[0, {"y": 18446744073709551616}]', "x[1].y"),
        (b'{"y":1,"y":1}', "x.y"),
        (b'[["\\ud800"]]', "x[0][0]"),
        (b'{"y":"\\u0000"}', "x.y"),
        (b"[" + b"NaN," * 299_000 + b"0]", "x[0]"),
        (b'{"' + b"n" * 300 + b'":NaN}', "x." + 187 * "n"),
    ],
)
async def test_a_value_that_no_field_could_have_is_refused_by_its_place(
    client: httpx.AsyncClient, inner: bytes, place: str
) -> None:
    answer = await client.post(SUBMIT, content=PREFIX + b'{"x":' + inner + b"}}", headers=JSON)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, f"parameters.{place}")
    assert error["message"].startswith(f"parameters.{place}: ")


async def test_text_that_only_looks_like_an_escaped_nul_is_kept(world: Any, client: httpx.AsyncClient) -> None:
    body = rb'{"algorithm_id":"a","parameters":{"x":"\\u0000 \u00e9 \ud83d\ude00"}}'
    assert (await client.post(SUBMIT, content=body, headers=JSON)).status_code == 202
    assert world.execution.submissions[0].parameters["x"] == "\\u0000 é 😀"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/jsonp"},
        {**JSON, "content-encoding": "gzip"},
    ],
)
async def test_other_media_types_are_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post(SUBMIT, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (415, "unsupported_media_type")


async def test_a_body_over_4_mib_is_413_whether_it_says_so_or_not(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65536

    body = b" " * (4 * 1024 * 1024 + 1)
    for content in (body, endless()):
        answer = await client.post(SUBMIT, content=content, headers=JSON)
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")
    assert sent < 140, "no more than as much again is read"
    source = "x" * (4 * 1024 * 1024 - 100)
    fits = {"algorithm_id": "a", "parameters": {"source": source}}
    assert (await client.post(SUBMIT, json=fits)).status_code == 202


async def test_a_body_of_too_many_values_is_413(client: httpx.AsyncClient) -> None:
    body = PREFIX + b'{"x":[' + b"1," * 300_000 + b"1]}}"
    assert (await client.post(SUBMIT, content=body, headers=JSON)).status_code == 413


async def test_a_body_that_does_not_come_is_408(client: httpx.AsyncClient) -> None:
    async def stuck() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    answer = await client.post(SUBMIT, content=stuck(), headers=JSON)
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/jobs/qm_job_1", "GET, HEAD, OPTIONS"),
        ("GET", SUBMIT, "OPTIONS, POST"),
        ("POST", "/v1/jobs", "GET, HEAD, OPTIONS"),
        ("PUT", SUBMIT, "OPTIONS, POST"),
        ("BREW", "/docs", "GET, HEAD, OPTIONS"),
        ("TRACE", "/v1/verify", "OPTIONS, POST"),
    ],
)
async def test_a_wrong_method_is_405_with_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["error"]["type"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v2/jobs", "/v1/jobs/", "/v1/jobs/submit/", "//v1/jobs", "/v1/%ff", "/v1/jobs/a/b", "/docs/assets/",
     "/docs/assets/..%2fpages.py", "/docs/assets/page/../../pages.py", "/v1/algorithms/"],
)  # fmt: skip
async def test_an_unknown_path_is_404_in_the_words_of_the_dialect(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


async def test_a_percent_encoded_path_means_the_same(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    assert (await client.get("/v1/%6Aobs/qm%5Fjob_00000000000000000000000000000001")).status_code == 200


async def test_options_tells_the_methods_without_a_key(world: Any) -> None:
    async with world.client(None) as anyone:
        answer = await anyone.options("/v1/jobs/qm_job_1")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "GET, HEAD, OPTIONS", b"")


async def test_head_answers_as_get_without_the_body(world: Any, client: httpx.AsyncClient) -> None:
    world.execution.make()
    path = "/v1/jobs/qm_job_00000000000000000000000000000001"
    full, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(full.content))
    assert (await client.head(f"{path}/events")).status_code == 200


@pytest.mark.parametrize("sent", ["a", "A-1/2:3", "with space", "x" * 128])
async def test_a_valid_request_id_is_kept(client: httpx.AsyncClient, sent: str) -> None:
    assert (await client.get("/v1/jobs", headers={"x-request-id": sent})).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [b"", b"x" * 129, "é".encode(), b"a\x7fb", b"a\tb"])
async def test_an_unfit_request_id_is_replaced(client: httpx.AsyncClient, sent: bytes) -> None:
    answer = await client.get("/nowhere", headers=[(b"x-request-id", sent)])
    fresh = answer.headers["x-request-id"]
    assert fresh.startswith("req_")
    assert answer.json()["error"]["request_id"] == fresh


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps({"algorithm_id": "a", "parameters": value}).encode())))  # fmt: skip
async def test_no_body_whatever_gives_a_500(world: Any, body: bytes) -> None:
    async with world.client() as client:
        for path in (SUBMIT, "/v1/verify"):
            answer = await client.post(path, content=body, headers=JSON)
            assert answer.status_code in {202, 400}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.binary(max_size=60), query=st.binary(max_size=60), method=st.sampled_from(["GET", "POST", "X", "HEAD"]))
async def test_no_path_or_query_whatever_gives_a_500(world: Any, path: bytes, query: bytes, method: str) -> None:
    for prefix in (b"/", b"/v1/jobs/", b"/v1/anchors/", b"/v1/algorithms/"):
        status = await raw(world.app, method, prefix + path, query)
        assert status < 500


async def raw(app: Any, method: str, path: bytes, query: bytes) -> int:
    """One request with any bytes as path and query; the status of its answer."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"authorization", b"Bearer qm_test_sk_alice")]
    scope = {"type": "http", "method": method, "path": path.decode("latin-1"), "raw_path": path, "headers": headers}
    await app({**scope, "query_string": query, "client": ("127.0.0.1", 1)}, receive, send)
    return statuses[0]
