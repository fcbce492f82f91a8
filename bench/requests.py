"""CPU per request, and so requests a second per core: GET job, 304, list, submit, beside a limit and a rival.

    .venv/bin/python -m bench.requests [--requests 1500] [--clients 32]        a minute or two

All in one run, in turn, so that all meet the same machine:

- the mesh: edge, services, NATS and PostgreSQL, with the worker stopped, so that no job runs meanwhile;
- the limit: one uvicorn process whose only Starlette route answers the same bytes, from memory, to anyone;
- the naive way (bench/naive.py), where it has the route: submissions.

`limited` is `GET job` again, by teams whose requests are counted: the rest are of a team without a limit. CPU is user +
system time of each process and its children, from /proc, the client not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.naive import naive_mesh
from bench.processes import cpu_seconds, loads
from deploy.local.mesh import LocalMesh
from deploy.local.ports import HOST, free_ports
from deploy.local.process import Child, Command
from deploy.local.programs import Program, every_program
from deploy.local.readiness import accepts
from tests.live import BELL_JOB, Api, Team, without_own_jobs

ROUNDS = 3
ROUND_SECONDS = 5.0
SETTLE_SECONDS = 0.4
"""What was put off until after the answer belongs to the request as well."""
LISTED = 20
LIMITED_TEAMS = 12
STATUSES = {"304": 304, "GET job": 200, "limited": 200, "list": 200, "submit": 202}
"""What is asked, and the status of its answer."""
PARTS = ("edge", "services", "postgres", "nats")


@dataclass(frozen=True)
class Asked:
    """A request as bytes, and the status that is expected."""

    data: bytes
    status: int

    @classmethod
    def of(cls, line: str, status: int, body: bytes = b"", **headers: str) -> Asked:
        """`line` is method and path; underscores in the names of headers stand for hyphens."""
        named = {"Host": "bench", **headers, **({"Content-Length": str(len(body))} if body else {})}
        lines = [f"{line} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
        return cls("\r\n".join([*lines, "", ""]).encode() + body, status)


@dataclass
class Way:
    """One server that is asked, and what that has cost so far."""

    port: int
    asked: Sequence[Asked]
    children: Mapping[str, Child]
    requests: int = 0
    spent: Counter[str] = field(default_factory=Counter)

    async def run(self, requests: int, clients: int) -> None:
        """One round."""
        before = self._cpu()
        self.requests += await load(self.port, self.asked, requests, clients)
        await asyncio.sleep(SETTLE_SECONDS)
        self.spent.update({name: total - before[name] for name, total in self._cpu().items()})

    def micros(self, *names: str) -> float:
        """CPU microseconds of some processes, or of all, for each request."""
        return 1e6 * sum(self.spent[name] for name in names or self.spent) / self.requests

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(child.pid or 0) for name, child in self.children.items()}


async def load(port: int, asked: Sequence[Asked], requests: int, clients: int) -> int:
    """Ask so often over so many connections, or until the round's time is over; how often that was."""
    turns = itertools.islice(itertools.cycle(asked), requests)
    until = time.monotonic() + ROUND_SECONDS
    answered = 0

    async def client() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(HOST, port)
        for each in turns:
            writer.write(each.data)
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0][15:])) if lengths else b""
            if int(head[9:12]) != each.status:
                raise SystemExit(f"refused: {head.decode()}{body.decode()}")
            answered += 1
            if time.monotonic() > until:
                break
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answered


@contextlib.asynccontextmanager
async def bare(name: str, folder: Path) -> AsyncIterator[Way]:
    """A process that answers `name` with its status, and with what is in the file of its name, to anyone."""
    (port,) = free_ports(1)
    arguments = ("--serve", str(port), str(STATUSES[name]), str(folder / name))
    command = Command(f"bare {name}", (sys.executable, "-m", "bench.requests", *arguments), folder / f"{name}.log")
    child = Child(command, lambda: accepts(port), on_crash=lambda *what: print("crashed:", *what))
    child.start()
    try:
        await child.ready(30)
        yield Way(port, [], {"bare": child})
    finally:
        await child.stop()


def serve(port: int, status: int, file: Path) -> None:
    """Be the limit until the process is ended."""
    read = functools.cache(file.read_bytes)

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(read() or None, status, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    uvicorn.run(app, host=HOST, port=port, access_log=False, log_level="warning")


@dataclass(frozen=True)
class Row:
    """One kind of request, each way."""

    name: str
    ours: Way
    limit: Way
    rival: Way | None = None

    def show(self) -> None:
        """Print it."""
        ours, limit = self.ours.micros(), self.limit.micros()
        parts = "".join(f"{self.ours.micros(name):9.0f}" for name in PARTS)
        rival = f"{self.rival.micros():8.0f} {ours / self.rival.micros():6.2f}" if self.rival else ""
        print(f"  {self.name:<9}{ours:8.0f}{1e6 / ours:9.0f}{parts}{limit:9.0f}{ours / limit:7.1f}{rival}")


async def measure(folder: Path, requests: int, clients: int) -> list[Row]:
    """Every row, in turn."""
    programs = [replace(each, host="") if each.name == "worker" else each for each in _programs()]
    async with contextlib.AsyncExitStack() as stack:
        # Before gRPC is at work here: its threads do not like processes to be started beside them.
        limits = {name: await stack.enter_async_context(bare(name, folder)) for name in STATUSES}
        naive = await stack.enter_async_context(naive_mesh(folder / "naive"))
        mesh = await stack.enter_async_context(LocalMesh(folder / "mesh", port=0, base_port=0, programs=programs))
        rows = []
        async for name, asked, body in _kinds(mesh):
            (folder / name).write_bytes(body)
            limits[name].asked = asked[:1]
            rival = Way(naive.port, [_submission(naive.secret)], naive.children) if name == "submit" else None
            rows.append(Row(name, Way(mesh.layout.ports["edge"], asked, mesh.children), limits[name], rival))
        mesh.kill("worker", signal.SIGSTOP)
        ways = [way for row in rows for way in (row.ours, row.limit, row.rival) if way is not None]
        for way in ways:
            await load(way.port, way.asked, clients * 3, clients)
        for _ in range(ROUNDS):
            for way in ways:
                await way.run(requests, clients)
        mesh.kill("worker", signal.SIGCONT)
    return rows


def _programs() -> list[Program]:
    return without_own_jobs(every_program(workers=1))


def _submission(secret: str) -> Asked:
    headers = {"Authorization": f"Bearer {secret}", "Content_Type": "application/json"}
    return Asked.of("POST /v1/jobs/submit", 202, json.dumps(BELL_JOB).encode(), **headers)


async def _kinds(mesh: LocalMesh) -> AsyncIterator[tuple[str, list[Asked], bytes]]:
    """The requests to measure, and what each is answered."""
    team = await Team.create(mesh, "enterprise")
    api = Api(mesh, team.secrets["live"])
    accepted = [(await api.submit()) for _ in range(LISTED)]
    path = f"/v1/jobs/{accepted[-1].json()['job_id']}"
    for each in accepted:
        await api.finished(each.json()["job_id"])
    job, listed = await api.get(path), await api.get("/v1/jobs")
    await api.close()
    key = {"Authorization": f"Bearer {team.secrets['live']}"}
    yield "304", [Asked.of(f"GET {path}", 304, b"", If_None_Match=job.headers["etag"], **key)], b""
    yield "GET job", [Asked.of(f"GET {path}", 200, b"", **key)], job.content
    yield "limited", [await _limited(mesh) for _ in range(LIMITED_TEAMS)], job.content
    yield "list", [Asked.of("GET /v1/jobs", 200, b"", **key)], listed.content
    yield "submit", [_submission(team.secrets["live"])], accepted[-1].content


async def _limited(mesh: LocalMesh) -> Asked:
    """GET job of a team with a limit."""
    team = await Team.create(mesh, "commercial")
    api = Api(mesh, team.secrets["live"])
    path = f"/v1/jobs/{(await api.run())['job_id']}"
    await api.close()
    return Asked.of(f"GET {path}", 200, Authorization=f"Bearer {team.secrets['live']}")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1500, help="requests a round, of each kind (default 1500)")
    parser.add_argument("--clients", type=int, default=32, help="connections at once (default 32)")
    arguments = parser.parse_args()
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # ends, but leaves nothing behind
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        rows = await measure(Path(folder), arguments.requests, arguments.clients)
    print("CPU µs      all   per s,     of which                              same bytes, naive")
    print("           ours  a core     edge services postgres     nats     bare  ratio     CPU  ratio")
    for row in rows:
        row.show()
    print(loads())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            raise SystemExit("stopped before its end") from None
