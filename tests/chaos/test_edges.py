"""Two edges of one mesh: what one of them knows must hold at the other, and outlive either."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest

from deploy.local.mesh import LocalMesh
from deploy.local.postgres import Postgres
from deploy.local.programs import every_program
from tests.live import BELL_JOB, Api, Team, without_own_jobs

EDGES = ("edge", "edge-2")
BURST = {"student": 20, "academic": 100}
MOST_LEASED = {"academic": 25}


@pytest.fixture(scope="module")
async def mesh() -> AsyncIterator[LocalMesh]:
    programs = without_own_jobs(every_program(workers=1))
    programs.append(replace(programs[-1], name=EDGES[1], offset=8))
    with tempfile.TemporaryDirectory(prefix="qmumma-edges-") as folder:
        Path(folder).chmod(0o711)
        async with LocalMesh(Path(folder) / "state", port=0, base_port=0, programs=programs) as mesh:
            yield mesh


@asynccontextmanager
async def both(mesh: LocalMesh, secret: str) -> AsyncIterator[list[Api]]:
    """The API at each edge."""
    apis = [Api(mesh, secret) for _ in EDGES]
    for api, name in zip(apis, EDGES, strict=True):
        api.http.base_url = httpx.URL(f"http://{mesh.layout.address(name)}")
    yield apis
    for api in apis:
        await api.close()


async def ask(api: Api) -> httpx.Response:
    """A request that costs a token and little else."""
    return await api.get("/v1/marketplace/algorithms?q=nothing")


async def take_all(apis: list[Api], most: int = 600) -> int:
    """Ask each edge in turn until neither lets a request pass; how many passed."""
    passed = refused = 0
    while refused < len(apis) and passed < most:
        answers = [await ask(api) for api in apis]
        refused = sum(answer.status_code == 429 for answer in answers)
        passed += sum(answer.status_code == 200 for answer in answers)
        assert {answer.status_code for answer in answers} <= {200, 429}
    return passed


@asynccontextmanager
async def superuser(mesh: LocalMesh) -> AsyncIterator[asyncpg.Connection]:
    """A connection that may do anything to the database."""
    layout = mesh.layout
    postgres = Postgres(layout.state / "postgres", layout.ports["postgres"], layout.log("postgres"))
    connection = await postgres.connect()
    try:
        yield connection
    finally:
        await connection.close()


async def test_under_load_two_edges_let_pass_what_the_plan_says_to_the_request(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "academic")
    async with both(mesh, team.secrets["test"]) as apis:
        refused = 0
        started = time.monotonic()
        sent = passed = 1
        await ask(apis[0])

        async def hammer(api: Api) -> None:
            nonlocal refused, sent, passed
            while refused < 40:
                answer = await ask(api)
                sent += 1
                if answer.status_code == 200:
                    passed += 1
                else:
                    refused += 1
                    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (429, "0")
                    assert answer.headers["retry-after"] == "1"

        await asyncio.gather(*(hammer(api) for api in apis for _ in range(4)))
        ended = time.monotonic()
        assert passed == sent - refused
        assert BURST["academic"] + int(ended - started) - 1 <= passed <= BURST["academic"] + ended - started
        await asyncio.sleep(1)  # what Retry-After says
        assert (await ask(apis[1])).status_code == 200


async def test_a_killed_edge_loses_what_it_was_leased_at_most_and_finds_the_bucket_as_it_was(mesh: LocalMesh) -> None:
    team, student = await Team.create(mesh, "academic"), await Team.create(mesh, "student")
    async with both(mesh, student.secrets["test"]) as apis:
        assert await take_all(apis) == BURST["student"]
    async with both(mesh, team.secrets["test"]) as (first, second):
        for _ in range(3):
            assert (await ask(second)).status_code == 200
        mesh.kill(EDGES[1])
        passed = await take_all([first])
        assert BURST["academic"] - 3 - MOST_LEASED["academic"] <= passed <= BURST["academic"]
    await mesh.ready(EDGES[1])
    async with both(mesh, student.secrets["test"]) as (_, second):
        assert await take_all([second]) <= 3  # what the rate has refilled meanwhile


async def test_without_nats_two_edges_let_pass_what_the_plan_says(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "student")
    async with both(mesh, team.secrets["test"]) as apis:
        mesh.kill("nats", signal.SIGSTOP)
        try:
            started = time.monotonic()
            passed = await take_all(apis)
            assert BURST["student"] <= passed <= BURST["student"] + (time.monotonic() - started) // 6
        finally:
            mesh.kill("nats", signal.SIGCONT)


async def test_while_no_tokens_can_be_leased_edges_let_pass_their_share_of_the_bucket(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "academic")
    async with both(mesh, team.secrets["test"]) as (first, second):
        started = time.monotonic()
        before = [(await ask(each)).status_code for each in (first, second)]
        async with superuser(mesh) as connection, connection.transaction():
            await connection.execute("LOCK TABLE accounts.request_buckets IN ACCESS EXCLUSIVE MODE")
            alone = await take_all([first, second])
            share = BURST["academic"] // 4  # each, and a quarter of the rate
            assert 2 * (share - 1) <= alone <= 2 * (share + (time.monotonic() - started) // 4 + 1)
        passed = before.count(200) + alone
        async with asyncio.timeout(10):
            left = -1
            while abs(BURST["academic"] - passed - left) > 10:  # until accounts has heard what both have let pass
                answer = await ask(first)
                passed += answer.status_code == 200
                left = int(answer.headers["x-ratelimit-remaining"])
                await asyncio.sleep(0.2)
        passed += await take_all([first, second])
        assert BURST["academic"] - 2 <= passed <= BURST["academic"] + (time.monotonic() - started) + 1


@asynccontextmanager
async def commit_held_back(
    mesh: LocalMesh, team: Team, key: dict[str, str]
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Until the end of the block no job is committed under this key: its place is taken, by what is then rolled back.

    The team needs a job already. Yields what waits until a commit of such a job is under way.
    """
    rival = {"job_id": str(uuid.uuid4()), "request_id": key["Idempotency-Key"]}
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO jobs%'"

    async def under_way() -> None:
        async with asyncio.timeout(20), superuser(mesh) as connection:
            while not await connection.fetchval(waiting):
                await asyncio.sleep(0.01)

    async with superuser(mesh) as connection:
        transaction = connection.transaction()
        await transaction.start()
        made = await connection.execute(
            "INSERT INTO execution.jobs SELECT (jsonb_populate_record(job, $2::text::jsonb)).*"
            " FROM execution.jobs AS job WHERE team_id = $1 LIMIT 1",
            team.team_id,
            json.dumps(rival),
        )
        assert made == "INSERT 0 1"
        yield under_way
        await transaction.rollback()


async def jobs_of(api: Api) -> list[str]:
    return [job["job_id"] for job in (await api.get("/v1/jobs")).json()["jobs"]]


async def patient(api: Api, key: dict[str, str]) -> httpx.Response:
    """The answer to a job under a key, asked for again as a client does that is told so."""
    async with asyncio.timeout(30):
        while (answer := await api.submit(**key)).status_code == 503:
            await asyncio.sleep(int(answer.headers["retry-after"]))
    return answer


async def events(api: Api, job_id: str, after: str = "") -> AsyncIterator[str]:
    """The events of a job, each as it was sent, after the one that was seen last."""
    headers = {"Last-Event-ID": after.partition("\n")[0].removeprefix("id: ")} if after else {}
    lines: list[str] = []
    async with api.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        async for line in answer.aiter_lines():
            lines.append(line)
            if not line:
                event = "\n".join(sorted(lines, key=lambda each: not each.startswith("id: ")))
                lines = []
                if event.startswith("id: "):
                    yield event


async def test_a_job_whose_edge_died_before_it_answered_is_found_at_the_other(mesh: LocalMesh) -> None:
    team, key = await Team.create(mesh, "commercial"), {"Idempotency-Key": uuid.uuid4().hex}
    async with both(mesh, team.secrets["live"]) as (first, second):
        before = (await first.run())["job_id"]
        async with commit_held_back(mesh, team, key) as under_way:
            unanswered = asyncio.create_task(first.submit(**key))
            await under_way()
            mesh.kill(EDGES[0], signal.SIGSTOP)  # the commit will come, and nobody will hear of it
        async with asyncio.timeout(20):
            while len(made := await jobs_of(second)) < 2:
                await asyncio.sleep(0.05)
        mesh.kill(EDGES[0])
        with pytest.raises(httpx.TransportError):
            await unanswered
        again = await patient(second, key)
        assert (again.status_code, again.headers.get("idempotency-replayed")) == (202, "true"), again.text
        assert [again.json()["job_id"], before] == made
        assert (await second.finished(made[0]))["status"] == "completed"
        await mesh.ready(EDGES[0])
        later = await first.submit(**key)
        assert (later.status_code, later.content) == (202, again.content)
        assert later.headers["location"] == again.headers["location"]
        other = await first.submit({**BELL_JOB, "shots": 2048}, **key)
        assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")
        assert await jobs_of(first) == made


async def test_twins_that_are_sent_to_both_edges_at_once_are_one_job(mesh: LocalMesh) -> None:
    team, key = await Team.create(mesh, "commercial"), {"Idempotency-Key": uuid.uuid4().hex}
    async with both(mesh, team.secrets["live"]) as apis:
        await apis[0].run()
        async with commit_held_back(mesh, team, key) as under_way:
            twins = [asyncio.create_task(api.submit(**key)) for api in apis * 3]
            await under_way()
        answers = [await twin for twin in twins]
        assert [answer.status_code for answer in answers] == [202] * 6
        assert len({answer.content for answer in answers}) == 1
        replayed = [answer.headers.get("idempotency-replayed", "") for answer in answers]
        assert sorted(replayed) == ["", *["true"] * 5]
        assert len(await jobs_of(apis[0])) == 2


@pytest.mark.soak
async def test_a_job_whose_services_died_before_they_answered_is_made_once(mesh: LocalMesh) -> None:
    team, key = await Team.create(mesh, "commercial"), {"Idempotency-Key": uuid.uuid4().hex}
    async with both(mesh, team.secrets["live"]) as (first, second):
        await first.run()
        async with commit_held_back(mesh, team, key) as under_way:
            unanswered = asyncio.create_task(first.submit(**key))
            await under_way()
            mesh.kill("execution")
        answers = [await unanswered]
        await mesh.ready("execution")
        async with asyncio.timeout(20):
            while len(answers) < 2 or answers[-1].status_code != 202:
                answers.append(await second.submit(**key))
        assert {answer.status_code for answer in answers} <= {202, 503}
        assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
        assert len(await jobs_of(first)) == 2


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/v1/jobs/quote", BELL_JOB, {**BELL_JOB, "shots": 2048}),
        ("/v1/keys", {"name": "once", "environment": "test"}, {"name": "twice", "environment": "test"}),
        ("/v1/webhooks/secret/rotate", {"grace_seconds": 60}, {"grace_seconds": 61}),
    ],
)
async def test_whatever_else_creates_or_spends_does_so_once_for_both_edges(
    mesh: LocalMesh, path: str, body: dict[str, object], other: dict[str, object]
) -> None:
    team, key = await Team.create(mesh, "commercial"), {"Idempotency-Key": uuid.uuid4().hex}
    async with both(mesh, team.secrets["live"]) as apis:
        answers = await asyncio.gather(*(api.http.post(path, json=body, headers=key) for api in apis * 2))
        assert {answer.is_success for answer in answers} == {True}, [answer.text for answer in answers]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        replayed = [answer.headers.get("idempotency-replayed", "") for answer in answers]
        assert sorted(replayed) == ["", *["true"] * 3]
        refused = [await api.http.post(path, json=other, headers=key) for api in apis]
        assert [(each.status_code, each.json()["error"]["param"]) for each in refused] == [(409, "Idempotency-Key")] * 2


async def test_a_stream_whose_edge_died_goes_on_at_the_other_with_nothing_lost_or_doubled(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "commercial")
    async with both(mesh, team.secrets["test"]) as (first, second):
        job_id = (await first.submit(**{"X-Test-Fault": "queue_delay=1, engine_crash"})).json()["job_id"]
        seen: list[str] = []
        with contextlib.suppress(httpx.TransportError):
            async for event in events(first, job_id):
                seen.append(event)
                mesh.kill(EDGES[0])
        assert len(seen) == 1
        rest = [event async for event in events(second, job_id, after=seen[-1])]
        whole = [event async for event in events(second, job_id)]
        assert [*seen, *rest] == whole
        assert [event.split("\n")[0] for event in whole] == [f"id: {number}" for number in range(1, 6)]
    await mesh.ready(EDGES[0])
