"""CPU per accepted job: POST /v1/jobs/submit through edge, services, NATS and PostgreSQL, beside a rival and a limit.

    .venv/bin/python -m bench.submit [--jobs 3000] [--clients 64]        about a minute at most

Three ways take turns in the same run, so that all meet the same machine:

- the mesh without a worker, so that only accepting is measured;
- the naive way (bench/naive.py): a unary RPC for each hop, a transaction and an acknowledged publish for each job;
- the limit: one process that decodes the same body and inserts one row for each request, in its own transaction.

The first two get the same requests from the same `load`. CPU is user + system time of each process and its children,
from /proc, PostgreSQL and NATS included, the client not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import msgspec

from bench.naive import naive_mesh
from bench.processes import cpu_seconds, loads
from deploy.local.mesh import LocalMesh
from deploy.local.process import Child
from deploy.local.programs import every_program
from tests.live import BELL_JOB, Team, without_own_jobs

TARGET_MICROS = 900
NAIVE_MICROS = 2250
"""What the naive way cost on the machine that the target was set on; on another only the ratio of the two tells."""
ROUNDS = 3
WARM_UP = 300
ROUND_SECONDS = 5.0
"""A round ends after this time, with the jobs that it has: this bounds the whole on a busy machine."""
SETTLE_SECONDS = 0.5
"""What was put off until after the answer belongs to the job as well."""
QUIET_SECONDS, QUIET_PART = 3.0, 0.05
"""A mesh that spends no more than this part of a processor for so long has done what a start puts off."""
BARE_CONNECTIONS = 16


@dataclass
class Way:
    """One way to accept jobs, and what it has cost so far."""

    port: int
    secret: str
    children: Mapping[str, Child]
    jobs: int = 0
    seconds: float = 0.0
    spent: Counter[str] = field(default_factory=Counter)
    rounds: list[float] = field(default_factory=list)

    async def quiet(self) -> None:
        """Wait until what was put off at the start is done: it belongs to no job."""
        spent = -math.inf
        while (now := sum(self._cpu().values())) - spent > QUIET_PART * QUIET_SECONDS:
            spent = now
            await asyncio.sleep(QUIET_SECONDS)

    async def run(self, jobs: int, clients: int) -> None:
        """One round."""
        before = self._cpu()
        accepted, seconds = await load(self.port, self.secret, jobs, clients)
        await asyncio.sleep(SETTLE_SECONDS)
        used = {name: total - before[name] for name, total in self._cpu().items()}
        self.spent.update(used)
        self.jobs += accepted
        self.seconds += seconds
        self.rounds.append(1e6 * sum(used.values()) / accepted)

    def micros(self, name: str) -> float:
        """CPU of one process for each job."""
        return 1e6 * self.spent[name] / self.jobs

    @property
    def total(self) -> float:
        """CPU microseconds of all processes for each job."""
        return sum(self.micros(name) for name in self.spent)

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid_of(child)) for name, child in self.children.items()}


@dataclass
class Bare:
    """The limit: a decode and an insert in a transaction of its own."""

    server: Child
    connections: Sequence[asyncpg.Connection]
    jobs: int = 0
    seconds: float = 0.0

    async def run(self, jobs: int) -> None:
        """One round."""
        body, left = msgspec.json.encode(BELL_JOB), jobs

        async def insert(connection: asyncpg.Connection) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                job = msgspec.json.encode(msgspec.json.decode(body))
                await connection.execute("INSERT INTO bare VALUES ($1, $2)", uuid.uuid4(), job)

        before = self._cpu()
        await asyncio.gather(*(insert(connection) for connection in self.connections))
        self.seconds += self._cpu() - before
        self.jobs += jobs

    @property
    def total(self) -> float:
        """CPU microseconds of PostgreSQL and its client for each row."""
        return 1e6 * self.seconds / self.jobs

    def _cpu(self) -> float:
        return cpu_seconds(pid_of(self.server)) + time.process_time()


def pid_of(child: Child) -> int:
    """Its process id; raises AssertionError where it is down, and nothing was measured then."""
    assert child.pid, child.command.name
    return child.pid


async def load(port: int, secret: str, jobs: int, clients: int, *, seconds: float = ROUND_SECONDS) -> tuple[int, float]:
    """Submit `jobs` jobs over `clients` connections, beginning none after `seconds`.

    Returns how many were accepted and the seconds that it took.
    """
    body = json.dumps(BELL_JOB).encode()
    left, accepted = jobs, 0
    started = time.perf_counter()

    async def client() -> None:
        nonlocal left, accepted
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0 and time.perf_counter() - started < seconds:
            left -= 1
            head = (
                "POST /v1/jobs/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {secret}\r\nIdempotency-Key: {uuid.uuid4().hex}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            header = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in header.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            answer = await reader.readexactly(length)
            if b" 202 " not in header.split(b"\r\n")[0]:
                raise SystemExit(f"refused: {header.decode()}{answer.decode()}")
            accepted += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return accepted, time.perf_counter() - started


async def measure(state: Path, jobs: int, clients: int) -> tuple[Way, Way, Bare]:
    """The mesh, the naive way and the limit, in turn."""
    programs = without_own_jobs(every_program(workers=0))
    async with (
        naive_mesh(state / "naive") as rival,
        LocalMesh(state / "mesh", port=0, base_port=0, programs=programs) as mesh,
    ):
        team = await Team.create(mesh, "enterprise")
        ours = Way(mesh.layout.ports["edge"], team.secrets["live"], mesh.children)
        naive = Way(rival.port, rival.secret, rival.children)
        connections = [await rival.postgres.connect() for _ in range(BARE_CONNECTIONS)]
        await connections[0].execute("CREATE TABLE bare (id uuid PRIMARY KEY, body bytea)")
        bare = Bare(rival.children["postgres"], connections)
        for way in (ours, naive):
            await load(way.port, way.secret, WARM_UP, clients)
            await way.quiet()
        for _ in range(ROUNDS):
            await ours.run(-(-jobs // ROUNDS), clients)
            await naive.run(-(-jobs // ROUNDS), clients)
            await bare.run(500)
        for connection in connections:
            await connection.close()
    return ours, naive, bare


def show(ours: Way, naive: Way, bare: Bare) -> None:
    """Print the table and the ratios."""
    print("CPU µs per accepted job         ours      naive")
    for name in sorted(ours.spent, key=lambda name: -ours.micros(name)):
        rival = f"{naive.micros(name):9.0f}" if name in naive.spent else "        -"
        print(f"  {name:<24}{ours.micros(name):10.0f}  {rival}")
    print(f"  {'all':<24}{ours.total:10.0f}  {naive.total:9.0f}")
    for name, way in (("ours", ours), ("naive", naive)):
        rounds = ", ".join(f"{micros:.0f}" for micros in way.rounds)
        print(f"  {name:<6}{way.jobs} jobs, {way.jobs / way.seconds:.0f} accepted/s; CPU µs by round: {rounds}")
    print(
        f"  ours / naive                {ours.total / naive.total:6.2f}   ({ours.total:.0f} / {naive.total:.0f} µs;"
        f" target {TARGET_MICROS / NAIVE_MICROS:.2f}, that is {TARGET_MICROS} µs where naive costs {NAIVE_MICROS})"
    )
    slower = naive.total / NAIVE_MICROS
    print(f"  machine                     {slower:6.2f} times as slow as the one that the target was set on")
    print(f"  ours / bare insert          {ours.total / bare.total:6.2f}   ({bare.total:.0f} µs: decode, one row)")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3000, help="jobs for each way (default 3000)")
    parser.add_argument("--clients", type=int, default=64, help="connections at once (default 64)")
    arguments = parser.parse_args()
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # ends, but leaves nothing behind
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        show(*await measure(Path(folder), arguments.jobs, arguments.clients))
    print(loads())


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise SystemExit("stopped before its end") from None
