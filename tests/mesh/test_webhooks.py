"""Deliveries: what is sent, when it is sent again, and what becomes of endpoints that do not answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock, patch

import pytest
import pytest_asyncio
from qm.execution.v1 import execution_pb2
from standardwebhooks.webhooks import Webhook

from mesh.destination import Destinations
from mesh.errors import Unavailable
from mesh.events import Events, Message
from mesh.identity import Authority
from mesh.streams import DEAD_LETTERS, JOBS_WEBHOOKS, audit_subject, webhook_subject
from services.webhooks import filing as filing_module
from services.webhooks.config import MailConfig
from services.webhooks.delivery import FAILING_FOR, LEASE, RETRIES, TIMEOUT_SECONDS, State, TeamId
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.executing import until
from tests.mesh.hooking import Hooks, hooking
from tests.sink import Received, Sink, sink, status


@pytest_asyncio.fixture(scope="module")
async def parts(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Hooks]:
    async with hooking(postgres, nats_server, authority) as hooks:
        yield hooks


@pytest_asyncio.fixture
async def hooks(parts: Hooks) -> Hooks:
    """The parts, with nothing to deliver."""
    await parts.home.rows("TRUNCATE deliveries, attempts")
    return parts


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Sink]:
    async with sink() as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module")
async def publisher(nats_server: RunningNats) -> AsyncIterator[Events]:
    """Who may publish, and hear, everything."""
    events = await Events.connect(nats_server.url, nats_server.identity("operator"))
    await events.ensure_streams([JOBS_WEBHOOKS, DEAD_LETTERS])
    yield events
    await events.close()


def team() -> str:
    return str(uuid.uuid4())


async def refuse(_request: Received) -> bytes:
    return status(500, b"no\x00t n\xc3\xb6w\xff" + b"x" * 3000)


async def test_a_delivery_is_signed_in_both_ways_and_logged(hooks: Hooks, endpoint: Sink):
    mine = team()
    [delivery_id] = await hooks.file(endpoint.url("/a?b=c"), mine)
    assert await hooks.turn(hooks.dispatcher()) == 1
    [request] = endpoint.received
    headers = request.headers
    stored = await hooks.secrets.current(TeamId(mine))
    secret = hooks.secrets.open(TeamId(mine), stored.secret)
    assert (request.path, headers["content-type"], headers["host"]) == (
        "/a?b=c",
        "application/json",
        f"127.0.0.1:{endpoint.port}",
    )
    digest = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    assert headers["x-qmumma-signature"] == f"sha256={digest}"
    assert headers["x-qmumma-delivery"] == headers["webhook-id"] == delivery_id
    assert headers["x-qmumma-timestamp"] == headers["webhook-timestamp"] == str(int(hooks.clock().timestamp()))
    assert Webhook(secret).sign(delivery_id, hooks.clock(), request.body.decode()) == headers["webhook-signature"]
    shown = await hooks.shown(mine, delivery_id)
    assert (shown.state, shown.attempt_count, shown.failing_since) == (State.DELIVERED, 1, None)
    [attempt] = shown.attempts
    assert (attempt.status_code, attempt.error, attempt.response) == (200, "", "ok")
    assert dt.timedelta(0) < attempt.latency < dt.timedelta(seconds=5)


async def test_tries_come_after_the_stated_times_under_the_same_id_and_then_no_more(hooks: Hooks, endpoint: Sink):
    mine = team()
    endpoint.reply = refuse
    [delivery_id] = await hooks.file(endpoint.url(), mine)
    dispatcher = hooks.dispatcher()
    assert await hooks.turn(dispatcher) == 1
    for wait in RETRIES:
        hooks.clock.now += wait - dt.timedelta(seconds=1)
        assert await hooks.turn(dispatcher) == 0
        hooks.clock.ahead(seconds=3)  # a try takes a moment of its own
        assert await hooks.turn(dispatcher) == 1
    assert [delay.total_seconds() for delay in RETRIES] == [5, 300, 1800, 7200, 18000, 36000, 36000]
    assert {request.headers["x-qmumma-delivery"] for request in endpoint.received} == {delivery_id}
    assert {request.body for request in endpoint.received} == {b'{"event":"job.completed"}'}
    assert len(endpoint.received) == len(await hooks.attempts(delivery_id)) == 8
    hooks.clock.ahead(days=2)
    assert await hooks.turn(dispatcher) == 0
    shown = await hooks.shown(mine, delivery_id)
    assert (shown.state, shown.attempt_count) == (State.FAILED, 8)
    assert shown.attempts[-1].response == "no\ufffdt n\u00f6w\ufffd" + "x" * 1014


async def test_an_endpoint_that_takes_a_later_try_is_told_once_more_and_no_further(hooks: Hooks, endpoint: Sink):
    mine = team()
    endpoint.reply = refuse
    [delivery_id] = await hooks.file(endpoint.url(), mine)
    dispatcher = hooks.dispatcher()
    await hooks.turn(dispatcher)
    assert (await hooks.shown(mine, delivery_id)).failing_since is not None
    endpoint.reply = None
    hooks.clock.ahead(seconds=7)
    assert await hooks.turn(dispatcher) == 1
    shown = await hooks.shown(mine, delivery_id)
    assert (shown.state, shown.failing_since, [each.status_code for each in shown.attempts]) == (
        State.DELIVERED,
        None,
        [500, 200],
    )


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (status(204), 204, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + status(201), 201, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 30_000, 200, ""),
        (status(307, b"", b"Location: http://127.0.0.1:1/"), 307, ""),
        (status(404), 404, ""),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, "answer_malformed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 0, "answer_malformed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, 0, "answer_malformed"),
        (b"", 0, "connection_lost"),
    ],
)
async def test_only_a_status_of_200_to_299_is_success(
    hooks: Hooks, endpoint: Sink, answer: bytes, code: int, error: str
):
    async def reply(_request: Received) -> bytes:
        return answer

    endpoint.reply = reply
    [delivery_id] = await hooks.file(endpoint.url())
    await hooks.turn(hooks.dispatcher())
    [attempt] = await hooks.attempts(delivery_id)
    assert (attempt.status_code, attempt.error) == (code, error)
    assert await hooks.state(delivery_id) is (State.DELIVERED if 200 <= code < 300 else State.LATER)
    assert len(endpoint.received) == 1


async def test_an_endpoint_that_is_silent_has_its_time_and_no_more(
    hooks: Hooks, endpoint: Sink, monkeypatch: pytest.MonkeyPatch
):
    assert TIMEOUT_SECONDS == 15
    monkeypatch.setattr("services.webhooks.dispatch.TIMEOUT_SECONDS", 0.05)
    silent = asyncio.Event()

    async def reply(_request: Received) -> bytes:
        await silent.wait()
        return b""

    endpoint.reply = reply
    [delivery_id] = await hooks.file(endpoint.url())
    await hooks.turn(hooks.dispatcher())
    assert [each.error for each in await hooks.attempts(delivery_id)] == ["timeout"]
    silent.set()


async def test_an_endpoint_that_failed_for_five_days_is_disabled_shown_and_enabled_by_hand(
    hooks: Hooks, endpoint: Sink
):
    mine, url = team(), endpoint.url()
    endpoint.reply = refuse
    dispatcher = hooks.dispatcher()
    [first] = await hooks.file(url, mine)
    await hooks.turn(dispatcher)
    since = (await hooks.shown(mine, first)).failing_since
    for _ in range(5):
        hooks.clock.ahead(days=1)
        await hooks.file(url, mine)
        await hooks.turn(dispatcher)
    [last] = await hooks.file(url, mine)
    hooks.clock.ahead(hours=1)
    await hooks.turn(dispatcher)
    shown = await hooks.shown(mine, last)
    assert shown.failing_since == since
    assert shown.disable_time is not None
    assert shown.disable_time - since >= FAILING_FOR
    assert (await hooks.shown(mine, first)).state is State.DISABLED
    seen = len(endpoint.received)
    [unsent] = await hooks.file(url, mine)
    hooks.clock.ahead(days=1)
    assert await hooks.turn(dispatcher) == 0
    assert len(endpoint.received) == seen
    assert await hooks.state(unsent) is State.DISABLED
    [deeds] = await hooks.home.rows("SELECT count(*) FROM outbox WHERE subject = $1", audit_subject(mine))
    assert deeds["count"] == 1
    endpoint.reply = None
    await hooks.retry(mine, unsent)
    await hooks.turn(dispatcher)
    shown = await hooks.shown(mine, unsent)
    assert (shown.state, shown.disable_time, shown.failing_since) == (State.DELIVERED, None, None)


async def test_failures_that_are_days_apart_disable_nothing(hooks: Hooks, endpoint: Sink):
    mine = team()
    endpoint.reply = refuse
    dispatcher = hooks.dispatcher()
    for _ in range(3):
        [delivery_id] = await hooks.file(endpoint.url(), mine)
        await hooks.turn(dispatcher)
        shown, [attempt] = await hooks.shown(mine, delivery_id), await hooks.attempts(delivery_id)
        assert (shown.disable_time, shown.failing_since) == (None, attempt.create_time + attempt.latency)
        await hooks.home.rows("UPDATE deliveries SET state = 5 WHERE delivery_id = $1", delivery_id)
        hooks.clock.ahead(days=6)


async def test_the_operator_gets_a_letter_about_a_disabled_endpoint(hooks: Hooks, endpoint: Sink):
    letters: asyncio.Queue[str] = asyncio.Queue()

    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go\r\n")
                letters.put_nowait((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(smtp, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    endpoint.reply = refuse
    dispatcher = hooks.dispatcher(mail=MailConfig(server=address, sender="q@example.org", recipient="op@example.org"))
    mine = team()
    for _ in range(7):
        await hooks.file(endpoint.url(), mine)
        await hooks.turn(dispatcher)
        hooks.clock.ahead(days=1)
    letter = await asyncio.wait_for(letters.get(), 5)
    assert "To: op@example.org" in letter
    assert endpoint.url() in letter
    assert letters.empty()
    server.close()


async def test_a_delivery_whose_process_died_is_sent_again_under_the_same_id(hooks: Hooks, endpoint: Sink):
    gate = asyncio.Event()

    async def reply(_request: Received) -> bytes:
        await gate.wait()
        return b""

    endpoint.reply = reply
    [delivery_id] = await hooks.file(endpoint.url())
    dying, other = hooks.dispatcher(), hooks.dispatcher()
    assert len(await dying.claim()) == 1
    await endpoint.wait(1)
    for task in dying._tasks:
        task.cancel()
    assert await hooks.turn(other) == 0
    endpoint.reply = None
    hooks.clock.now += LEASE
    assert await hooks.turn(other) == 1
    assert [each.headers["x-qmumma-delivery"] for each in endpoint.received] == [delivery_id] * 2
    assert await hooks.state(delivery_id) is State.DELIVERED
    gate.set()


async def test_an_event_that_comes_twice_makes_one_delivery(hooks: Hooks, endpoint: Sink):
    mine = team()
    announcement = hooks.announcement(endpoint.url(), mine)
    await hooks.refile([announcement])
    await hooks.refile([announcement])
    assert await hooks.turn(hooks.dispatcher()) == 1
    await hooks.refile([announcement])
    assert await hooks.turn(hooks.dispatcher()) == 0


async def test_teams_and_endpoints_share_the_places_however_much_one_of_them_waits_for(hooks: Hooks, endpoint: Sink):
    gate = asyncio.Event()

    async def reply(request: Received) -> bytes:
        if request.path == "/slow":
            await gate.wait()
        return status(200)

    endpoint.reply = reply
    big, small = team(), [team() for _ in range(20)]
    await hooks.file(endpoint.url("/slow"), big, count=300)
    await hooks.file(endpoint.url("/quick"), big, count=5)
    for each in small:
        await hooks.file(endpoint.url("/small"), each, count=2)
    dispatcher = hooks.dispatcher(places=64, team_places=16, endpoint_places=8)
    while await dispatcher.claim():
        await asyncio.sleep(0)
    await endpoint.wait(40, "/small")
    await endpoint.wait(5, "/quick")
    assert len(await endpoint.wait(8, "/slow")) == 8
    assert max(dispatcher._endpoints.values()) == 8
    gate.set()
    while await hooks.turn(dispatcher):
        pass
    assert len(endpoint.received) == 345


async def test_an_endpoint_that_failed_is_tried_one_at_a_time(hooks: Hooks, endpoint: Sink):
    endpoint.reply = refuse
    mine = team()
    dispatcher = hooks.dispatcher()
    await hooks.file(endpoint.url(), mine, count=1)
    await hooks.turn(dispatcher)
    await hooks.file(endpoint.url(), mine, count=20)
    assert await hooks.turn(dispatcher) == 1


async def test_a_secret_that_was_replaced_signs_until_its_grace_is_over(hooks: Hooks, endpoint: Sink):
    mine = team()
    old = await hooks.secret(mine)
    new = await hooks.rotate(mine, dt.timedelta(hours=1))
    assert new != old
    await hooks.file(endpoint.url(), mine)
    dispatcher = hooks.dispatcher()
    await hooks.turn(dispatcher)
    [request] = endpoint.received
    signatures = request.headers["webhook-signature"].split(" ")
    body, moment = request.body.decode(), hooks.clock()
    identity = request.headers["webhook-id"]
    assert signatures == [Webhook(each).sign(identity, moment, body) for each in (new, old)]
    digest = hmac.new(new.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-qmumma-signature"] == f"sha256={digest}"
    hooks.clock.ahead(hours=1)
    await hooks.file(endpoint.url(), mine)
    await hooks.turn(dispatcher)
    assert " " not in endpoint.received[-1].headers["webhook-signature"]
    await hooks.rotate(mine, dt.timedelta(hours=1))
    await hooks.rotate(mine, dt.timedelta(0))
    await hooks.file(endpoint.url(), mine)
    await hooks.turn(dispatcher)
    assert " " not in endpoint.received[-1].headers["webhook-signature"]


async def test_no_table_holds_a_secret(hooks: Hooks):
    mine = team()
    secrets = [await hooks.secret(mine), await hooks.rotate(mine, dt.timedelta(hours=1))]
    for table in ("secrets", "requests", "outbox"):
        rows = await hooks.home.rows(f"SELECT row::text AS text FROM {table} AS row")  # noqa: S608 - constants
        assert not any(
            secret in row["text"] or secret.encode().hex() in row["text"] for row in rows for secret in secrets
        )


async def test_a_name_is_called_at_the_address_that_was_looked_at_under_its_own_name(
    hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with sink(tmp_path) as endpoint:
        monkeypatch.setattr(hooks, "context", ssl.create_default_context(cafile=str(tmp_path / "authority.pem")))
        mine = team()
        dispatcher = hooks.dispatcher()
        for _ in range(2):
            await hooks.file(endpoint.url(host="hooks.test"), mine)
            await hooks.turn(dispatcher)
        assert [each.headers["host"] for each in endpoint.received] == [f"hooks.test:{endpoint.port}"] * 2
        assert (endpoint.names, endpoint.connections) == (["hooks.test"], 1)  # the second came over the same connection
        monkeypatch.setitem(hooks.names, "other.test", ["127.0.0.1"])
        [delivery_id] = await hooks.file(endpoint.url(host="other.test"), mine)
        await hooks.turn(dispatcher)
        assert [each.error for each in await hooks.attempts(delivery_id)] == ["tls_failed"]


@pytest.mark.parametrize(
    ("host", "addresses", "error"),
    [
        ("inside.test", ["10.0.0.5"], "address_refused"),
        ("meta.test", ["169.254.169.254"], "address_refused"),
        ("six.test", ["::ffff:10.0.0.1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "::1"], "address_refused"),
        ("unknown.test", None, "name_unknown"),
    ],
)
async def test_a_name_that_leads_inside_is_not_called(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch, host: str, addresses: list[str] | None, error: str
):
    if addresses is not None:
        monkeypatch.setitem(hooks.names, host, addresses)
    [delivery_id] = await hooks.file(f"https://{host}/")
    await hooks.turn(hooks.dispatcher())
    assert [each.error for each in await hooks.attempts(delivery_id)] == [error]


async def test_a_name_that_changes_its_mind_is_called_where_it_was_looked_at(hooks: Hooks, endpoint: Sink):
    answers = [["127.0.0.1"], ["10.0.0.5"]]

    class Rebinding(dict[str, list[str]]):
        def __contains__(self, _name: object) -> bool:
            return True

        def __getitem__(self, _name: str) -> list[str]:
            return answers.pop(0)

    hooks.names, names = Rebinding(), hooks.names
    [delivery_id] = await hooks.file(endpoint.url(host="rebinding.test"))
    await hooks.turn(hooks.dispatcher())
    hooks.names = names
    assert (await hooks.state(delivery_id), len(answers)) == (State.DELIVERED, 1)


async def test_what_the_operator_does_not_allow_any_more_is_not_called(hooks: Hooks, endpoint: Sink):
    [delivery_id] = await hooks.file(endpoint.url())
    await hooks.turn(hooks.dispatcher(destinations=Destinations()))
    assert [each.error for each in await hooks.attempts(delivery_id)] == ["address_refused"]
    assert endpoint.received == []


async def test_an_event_becomes_a_delivery_before_it_is_acknowledged(hooks: Hooks, publisher: Events):
    mine = team()
    first, again = hooks.event(mine, "https://example.com/hook"), hooks.event(mine, "https://example.com/hook")
    filing = hooks.filing()
    broken = AsyncMock(side_effect=Unavailable("down", reason="DATABASE_UNAVAILABLE"))
    with patch.object(filing, "_store", SimpleNamespace(file=broken)), patch.object(filing_module, "PAUSE_SECONDS", 0):
        running = asyncio.create_task(filing.run())
        await publisher.publish(first)
        await until(lambda: _called(broken))
        assert await hooks.of_team(mine) == []
    await publisher.publish(again)
    await until(lambda: hooks.has(mine, 2))
    assert {each.delivery_id for each in await hooks.of_team(mine)} == {first.id, again.id}
    body = (await hooks.home.rows("SELECT body FROM deliveries WHERE delivery_id = $1", first.id))[0]["body"]
    assert json.loads(body)["event"] == "job.completed"
    running.cancel()


async def test_an_event_that_makes_no_sense_is_buried(hooks: Hooks, publisher: Events):
    dead: list[bytes] = []

    async def hear(_subject: str, payload: bytes) -> None:
        dead.append(payload)

    heard = await publisher.subscribe("dead.JOBS_WEBHOOKS.>", hear)
    running = asyncio.create_task(hooks.filing().run())
    await publisher.publish(Message(str(uuid.uuid4()), webhook_subject("completed", team()), b"\xff\xff"))
    await publisher.publish(hooks.event(team(), ""))
    await publisher.publish(hooks.event(team(), "https://example.com/", stage=execution_pb2.JOB_STAGE_RUNNING))
    await until(lambda: _seen(dead, 3))
    running.cancel()
    await heard.unsubscribe()


async def test_old_deliveries_are_dropped_unless_they_still_wait(
    hooks: Hooks, endpoint: Sink, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.webhooks.store.MOST_FORGOTTEN", 2)
    mine, dispatcher = team(), hooks.dispatcher(keep_days=30)
    await hooks.file(endpoint.url(), mine, count=5)
    await hooks.turn(dispatcher)
    endpoint.reply = refuse
    [waiting] = await hooks.file(endpoint.url(), mine)
    await hooks.turn(dispatcher)
    hooks.clock.ahead(days=29)
    await dispatcher._forget()
    assert await hooks.has(mine, 6)
    hooks.clock.ahead(days=2)
    await dispatcher._forget()
    assert [each.delivery_id for each in await hooks.of_team(mine)] == [waiting]
    [left] = await hooks.home.rows("SELECT count(*) FROM attempts")
    assert left["count"] == 1


async def test_an_endpoint_goes_with_the_last_of_its_deliveries_and_comes_back_with_the_next(
    hooks: Hooks, endpoint: Sink
):
    mine, dispatcher = team(), hooks.dispatcher(keep_days=30)
    waits, url = endpoint.url("/waits"), endpoint.url("/used")
    await hooks.file(url, mine)
    await hooks.turn(dispatcher)
    endpoint.reply = refuse
    await hooks.file(waits, mine)
    await hooks.turn(dispatcher)
    hooks.clock.ahead(days=31)
    await dispatcher._forget()
    rows = await hooks.home.rows("SELECT url, failing_since FROM endpoints WHERE team_id = $1", mine)
    assert [(row["url"], row["failing_since"] is None) for row in rows] == [(waits, False)]
    endpoint.reply = None
    [again] = await hooks.file(url, mine)
    await hooks.turn(dispatcher)
    assert await hooks.state(again) is State.DELIVERED


async def test_nothing_is_lost_that_is_filed_while_endpoints_are_dropped(hooks: Hooks):
    mine, url = team(), "https://example.com/hook"
    for _ in range(20):
        filed, _ = await asyncio.gather(hooks.file(url, mine), hooks.store.forget_endpoints())
        assert await hooks.has(mine, 1), filed
        await hooks.home.rows("DELETE FROM deliveries WHERE team_id = $1", mine)


async def _called(mock: AsyncMock) -> bool:
    return mock.await_count > 0


async def _seen(dead: list[bytes], count: int) -> bool:
    return len(dead) >= count
