"""CPU per accepted job: POST /v1/jobs/submit through edge, services, NATS and PostgreSQL, beside a limit.

    python -m bench.submit [--jobs 3000] [--clients 64]

The worker is stopped (SIGSTOP), so that only accepting is measured. CPU is user + system time of each process of the
mesh, children included, from /proc. The limit, in the same run: one process that decodes the same body and inserts
one row for each request, in a transaction of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
import uuid
from pathlib import Path

from deploy.local.mesh import LocalMesh
from tests.live import BELL_JOB, Team

TICK = os.sysconf("SC_CLK_TCK")
WARM_UP = 300


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, the ended ones that were waited for included."""
    total = 0.0
    for process in descendants(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += sum(int(field) for field in fields[11:15]) / TICK
    return total


def descendants(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [pid]
    for process in found:
        try:
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        except FileNotFoundError:
            continue
        found += [int(child) for child in children]
    return found


async def load(port: int, secret: str, jobs: int, clients: int) -> float:
    """Submit `jobs` jobs over `clients` connections; returns the seconds that it took."""
    body = json.dumps(BELL_JOB).encode()
    left = jobs

    async def client() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
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
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - started


async def measure(mesh: LocalMesh, jobs: int, clients: int) -> dict[str, float]:
    """CPU microseconds per job, by process."""
    team = await Team.create(mesh, "enterprise")
    port = mesh.layout.ports["edge"]
    worker = mesh.pid("worker")
    assert worker
    os.killpg(os.getpgid(worker), signal.SIGSTOP)
    try:
        await load(port, team.secrets["live"], WARM_UP, clients)
        names = [name for name in mesh.children if name != "worker"]
        before = {name: cpu_seconds(mesh.pid(name) or 0) for name in names}
        seconds = await load(port, team.secrets["live"], jobs, clients)
        await asyncio.sleep(0.5)
        after = {name: cpu_seconds(mesh.pid(name) or 0) for name in names}
    finally:
        os.killpg(os.getpgid(worker), signal.SIGCONT)
    print(f"  {jobs} jobs over {clients} connections in {seconds:.1f} s: {jobs / seconds:.0f} accepted/s")
    return {name: 1e6 * (after[name] - before[name]) / jobs for name in names}


async def bare_insert(jobs: int, clients: int, state: Path) -> float:
    """CPU microseconds per request of a decode and an insert in a transaction of its own, without a mesh."""
    import msgspec  # noqa: PLC0415

    from deploy.local.ports import free_ports  # noqa: PLC0415
    from deploy.local.postgres import Postgres, ensure_database  # noqa: PLC0415
    from deploy.local.process import Child  # noqa: PLC0415

    server = Postgres(state / "bare", free_ports(1)[0], state / "bare.log")
    server.initialise()
    child = Child(server.command(), server.is_ready, on_crash=lambda *_: None, before_start=server.clear_orphan)
    child.start()
    await child.ready(30)
    first = await server.connect("postgres")
    await ensure_database(first)
    await first.close()
    connections = [await server.connect() for _ in range(min(clients, 16))]
    await connections[0].execute("CREATE TABLE bare (id uuid PRIMARY KEY, body bytea)")
    body = msgspec.json.encode(BELL_JOB)
    left = jobs

    async def client(connection: object) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            decoded = msgspec.json.decode(body)
            await connection.execute(  # type: ignore[attr-defined]
                "INSERT INTO bare VALUES ($1, $2)", uuid.uuid4(), msgspec.json.encode(decoded)
            )

    server_pid = child.pid
    assert server_pid
    before = cpu_seconds(server_pid) + time.process_time()
    await asyncio.gather(*(client(connection) for connection in connections))
    spent = cpu_seconds(server_pid) + time.process_time() - before
    for connection in connections:
        await connection.close()
    await child.stop()
    return 1e6 * spent / jobs


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        state = Path(folder)
        state.chmod(0o711)
        bare = await bare_insert(1000, arguments.clients, state)
        async with LocalMesh(state / "mesh", port=0, base_port=0) as mesh:
            spent = await measure(mesh, arguments.jobs, arguments.clients)
    total = sum(spent.values())
    for name, micros in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:<12}{micros:8.0f} µs")
    print(f"  {'the mesh':<12}{total:8.0f} µs CPU per accepted job; target 900: {total / 900:.2f} of it")
    ratio = total / bare
    print(f"  {'bare insert':<12}{bare:8.0f} µs (decode, one row, one transaction): the mesh costs {ratio:.1f} times that")


if __name__ == "__main__":
    asyncio.run(main())
