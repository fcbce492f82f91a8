"""Server-sent events, and the server that sends them: real uvicorn on a free port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from qm.execution.v1 import execution_pb2 as pb

from edge.app import create_app
from edge.dialects.qmumma.routes import Settings
from edge.server import HttpServer
from mesh.errors import Unavailable

ID = "qm_job_00000000000000000000000000000001"
EVENTS = f"/v1/jobs/{ID}/events"
KEY = {"authorization": "Bearer qm_test_sk_alice"}


@pytest.fixture
def world(make_world: Any) -> Any:
    return make_world(settings=Settings(public_url="http://edge.test", streams_per_team=2, heartbeat_seconds=0.05))


@pytest.fixture
async def server(world: Any) -> AsyncIterator[HttpServer]:
    app = create_app(world.edge)
    server = HttpServer(app, world.edge, "127.0.0.1:0", trusted_proxies="", keep_alive_seconds=5)
    await server.start()
    yield server
    await server.drain(2)


@pytest.fixture
async def live(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=KEY, timeout=10) as client:
        yield client


async def read_event(lines: AsyncIterator[str]) -> dict[str, str]:
    """The next event; comments are passed over."""
    event: dict[str, str] = {}
    async for line in lines:
        if not line and "data" in event:
            return event
        name, _, value = line.partition(": ")
        if name:
            event[name] = value
    raise AssertionError("the stream ended")


async def test_a_stream_tells_each_state_and_ends_with_the_job(world: Any, live: httpx.AsyncClient) -> None:
    job = world.execution.make()
    async with live.stream("GET", EVENTS) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = answer.aiter_lines()
        first = await read_event(lines)
        assert (first["id"], first["event"], first["retry"]) == ("1", "job.queued", "2000")
        await world.execution.complete(job)
        second = await read_event(lines)
        assert (second["id"], second["event"]) == ("2", "job.completed")
        assert json.loads(second["data"]) == (await live.get(f"/v1/jobs/{ID}")).json()
        assert [line async for line in lines if line] == []
    assert world.execution.watching == 0


async def test_a_stream_resumes_after_the_last_event_and_stays_open_by_comments(
    world: Any, live: httpx.AsyncClient
) -> None:
    job = world.execution.make()
    async with live.stream("GET", EVENTS, headers={"last-event-id": "1"}) as answer:
        lines = answer.aiter_lines()
        async for line in lines:
            if line == ": still here":
                break
        await world.execution.complete(job)
        assert (await read_event(lines))["id"] == "2"


async def test_a_client_that_saw_the_end_is_told_not_to_come_back(world: Any, live: httpx.AsyncClient) -> None:
    await world.execution.complete(world.execution.make())
    assert (await live.get(EVENTS, headers={"last-event-id": "2"})).status_code == 204
    assert (await live.get(EVENTS, headers={"last-event-id": "1"})).text.count("event: job.completed") == 1


@pytest.mark.parametrize("last", ["x", "-1", "1" * 19, ""])
async def test_a_wrong_last_event_id_is_named(world: Any, live: httpx.AsyncClient, last: str) -> None:
    world.execution.make()
    answer = await live.get(EVENTS, headers={"last-event-id": last})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Last-Event-ID")


async def test_a_client_that_goes_away_ends_its_watch(world: Any, live: httpx.AsyncClient) -> None:
    world.execution.make()
    async with live.stream("GET", EVENTS) as answer:
        await read_event(answer.aiter_lines())
        assert world.execution.watching == 1
    await asyncio.wait_for(world.execution.unwatched.wait(), 5)
    assert world.execution.watching == 0


async def test_a_team_holds_only_so_many_streams_open(world: Any, live: httpx.AsyncClient) -> None:
    world.execution.make()
    async with live.stream("GET", EVENTS) as one, live.stream("GET", EVENTS) as two:
        for answer in (one, two):
            await read_event(answer.aiter_lines())
        for path in (EVENTS, f"/v1/jobs/{ID}?wait=5"):
            refused = await live.get(path)
            assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limited")
        assert (await live.get(f"/v1/jobs/{ID}")).status_code == 200


async def test_a_stream_whose_source_fails_ends_so_that_the_client_comes_back(
    world: Any, live: httpx.AsyncClient
) -> None:
    world.execution.make()

    async def watch(_request: Any) -> AsyncIterator[pb.WatchJobResponse]:
        raise Unavailable("gone", reason="PEER_UNAVAILABLE")
        yield

    world.execution.WatchJob = watch
    answer = await live.get(EVENTS)
    assert (answer.status_code, answer.text) == (200, "retry: 2000\n\n")


async def test_draining_ends_streams_and_refuses_new_connections(
    world: Any, server: HttpServer, live: httpx.AsyncClient
) -> None:
    world.execution.make()
    async with live.stream("GET", EVENTS) as answer:
        lines = answer.aiter_lines()
        await read_event(lines)
        draining = asyncio.create_task(server.drain(5))
        assert [line async for line in lines if line and not line.startswith(":")] == []
    await asyncio.wait_for(draining, 5)
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as anyone:
            await anyone.get(f"http://127.0.0.1:{server.port}/healthz")


async def test_a_port_that_is_taken_is_told_by_name(world: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match=address) as caught:
            HttpServer(create_app(world.edge), world.edge, address, trusted_proxies="", keep_alive_seconds=5)
    assert caught.value.reason == "PORT_BUSY"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/jobs/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_good_http_never_give_a_500(server: HttpServer, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert not answer.startswith(b"HTTP/1.1 5")
