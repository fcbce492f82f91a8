"""The bytes of a connection: what is no request is refused in our words, and nobody can keep a head open for ever."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge import protocol
from edge.app import create_app
from edge.server import HttpServer

KEY = b"Authorization: Bearer qm_test_sk_alice\r\n"
JSON = b"Content-Type: application/json\r\n"
GOOD = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n"


@pytest.fixture
async def server(world: Any) -> AsyncIterator[HttpServer]:
    server = HttpServer(create_app(world.edge), world.edge, "127.0.0.1:0", trusted_proxies="", keep_alive_seconds=5)
    await server.start()
    yield server
    await server.drain(1)


async def said(server: HttpServer, *pieces: bytes) -> bytes:
    """Everything that the server answers until it closes the connection, although this side leaves it open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    answer = bytearray()
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while received := await reader.read(65536):
                answer += received
    except ConnectionError:
        pass  # closed while we still wrote
    finally:
        writer.close()
    return bytes(answer)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/verify HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /v1/verify HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + b"\r\n2\r\n{}\r\nZZ",
        b"GET /healthz HTTP/1.1\r\nX: \x01\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_the_words_of_the_dialect(server: HttpServer, sent: bytes) -> None:
    head, _, body = (await said(server, sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    error = json.loads(body)["error"]
    assert error["type"] == "bad_request"
    assert f"x-request-id: {error['request_id']}".encode() in head


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"GET /healthz HTTP/1.1\r\nX: ", GOOD[:-2] + b"X: ", GOOD + b"GET /"],
    ids=["path", "header", "header after a key", "second request"],
)
async def test_an_endless_head_is_cut(server: HttpServer, start: bytes) -> None:
    answer = await said(server, start, *[b"a" * 65536] * 400)
    assert b"HTTP/1.1 200" not in answer or start.startswith(GOOD)


async def test_many_headers_are_cut(server: HttpServer) -> None:
    await said(server, b"GET / HTTP/1.1\r\n", *[b"x: %s\r\n" % (b"a" * 60000)] * 400)


async def test_endless_trailers_are_cut(server: HttpServer) -> None:
    start = b"POST /v1/jobs/submit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + KEY + b"\r\n0\r\n"
    await said(server, start, *[b"x: %s\r\n" % (b"a" * 60000)] * 400)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"\r\n", GOOD + b"\r\n", GOOD + b"GET / HT"])
async def test_a_head_that_does_not_come_ends_the_connection(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    began = asyncio.get_running_loop().time()
    await said(server, sent)
    assert asyncio.get_running_loop().time() - began < 7


async def test_a_connection_is_kept_for_the_next_request(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for pause in (0, 0.2, 0.2):
        await asyncio.sleep(pause)
        writer.write(GOOD)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    writer.close()


async def test_a_large_body_in_many_pieces_passes(world: Any, server: HttpServer) -> None:
    body = json.dumps({"algorithm_id": "a", "parameters": {"x": "y" * 2_000_000}}).encode()
    start = b"POST /v1/jobs/submit HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n" + KEY
    pieces = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
    plain = [start + b"Content-Length: %d\r\n\r\n" % len(body), *pieces]
    chunked = [start + b"Transfer-Encoding: chunked\r\n\r\n"]
    chunked += [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    for sent in (plain, [*chunked, b"0\r\n\r\n"]):
        assert (await said(server, *sent)).startswith(b"HTTP/1.1 202")
    assert len(world.execution.submissions) == 2


async def test_a_client_that_goes_is_missed_by_each_request_that_it_had_sent(
    world: Any, server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    job = world.execution.make()
    events = b"GET /v1/jobs/qm_job_%s/events HTTP/1.1\r\nHost: x\r\n%s\r\n" % (uuid.UUID(job.job_id).hex.encode(), KEY)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(events + GOOD * 3)
    await asyncio.wait_for(world.execution.watched.wait(), 10)
    await reader.readuntil(b"event: job.queued")
    writer.close()
    await asyncio.wait_for(world.execution.unwatched.wait(), 10)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
