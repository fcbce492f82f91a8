"""Deliveries a second of the webhooks service to a sink on this machine, beside loops that only post.

    .venv/bin/python -m bench.webhooks [--deliveries 5000]        about half a minute

The service runs alone with its PostgreSQL and its NATS. The events are published at once;
each becomes a row, is taken up, signed, posted, and its outcome kept. The rivals post the same bodies to the same sink
from a bare loop, 64 at a time, and keep nothing: what a client of theirs would cost alone. CPU is that of each process,
from /proc; the sink is an HTTP server on uvloop and llhttp that answers 200.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import ssl
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import httptools
import httpx
import uvloop
from qm.execution.v1 import events_pb2, execution_pb2

from bench.processes import cpu_seconds, loads
from bench.submit import pid_of
from deploy.local.mesh import LocalMesh
from deploy.local.programs import Program, every_program
from mesh.destination import Destinations
from mesh.events import Events, Message
from mesh.identity import Identity
from mesh.streams import JOBS_WEBHOOKS, webhook_subject
from services.webhooks.resolver import Resolver
from services.webhooks.sender import Sender

TEAMS = 50
AT_ONCE = 64
LOCAL = Destinations(allow_http=True, allowed_networks=("127.0.0.0/8",))
BODY = b'{"event":"job.completed","job_id":"qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f","status":"completed"}'
POLL_SECONDS = 0.02


class SinkProtocol(asyncio.Protocol):
    """Answers 200 to whatever comes."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        SinkProtocol.count += 1
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined]


def run_sink(pipe: Connection) -> None:
    """Serve; tells its port, then, whenever it is asked, how much has come."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(SinkProtocol, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while await asyncio.to_thread(pipe.recv):
            pipe.send(SinkProtocol.count)

    uvloop.run(serve())


@dataclass
class Sink:
    """The sink's process."""

    pipe: Connection
    pid: int
    port: int

    def count(self) -> int:
        """How many requests have come."""
        self.pipe.send("count")
        return int(self.pipe.recv())


async def publish(mesh: LocalMesh, sink: Sink, count: int) -> None:
    """Put events into the stream, of as many teams as there are."""
    operator = Identity.at(mesh.layout.identities / "operator", "operator")
    events = await Events.connect(f"tls://{mesh.layout.address('nats')}", operator)
    await events.ensure_streams([JOBS_WEBHOOKS])
    teams = [str(uuid.uuid4()) for _ in range(TEAMS)]
    for start in range(0, count, 500):
        batch = []
        for number in range(start, min(start + 500, count)):
            team = teams[number % TEAMS]
            event = events_pb2.JobEvent(
                job_id=str(uuid.uuid4()),
                team_id=team,
                state=execution_pb2.JOB_STATE_COMPLETED,
                stage=execution_pb2.JOB_STAGE_COMPLETED,
                webhook_url=f"http://127.0.0.1:{sink.port}/{team}",
            )
            event.create_time.GetCurrentTime()
            batch.append(Message(str(uuid.uuid4()), webhook_subject("completed", team), event.SerializeToString()))
        assert not any(await events.publish_all(batch))
    await events.close()


def programs() -> tuple[Program, ...]:
    """The webhooks service alone."""
    return tuple(each for each in every_program(workers=0, apart=True, local_webhooks=True) if each.name == "webhooks")


async def measure_service(state: Path, sink: Sink, count: int) -> None:
    """Let the service drain its stream, and print what it took."""
    async with LocalMesh(state, port=0, base_port=0, programs=programs()) as mesh:
        names = ("webhooks", "postgres", "nats")
        before = {name: cpu_seconds(pid_of(mesh.children[name])) for name in names}
        sink_before, first = cpu_seconds(sink.pid), sink.count()
        started = time.perf_counter()
        await publish(mesh, sink, count)
        while sink.count() - first < count:  # noqa: ASYNC110 - the sink is another process
            await asyncio.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        spent = {name: cpu_seconds(pid_of(mesh.children[name])) - before[name] for name in names}
    spent["sink"] = cpu_seconds(sink.pid) - sink_before
    report("the service, from event to answer", count, seconds, spent)


def report(name: str, count: int, seconds: float, spent: dict[str, float]) -> None:
    """Print one line."""
    cpu = ", ".join(f"{process} {1e6 * used / count:.0f}" for process, used in spent.items())
    print(f"  {name:<36}{count / seconds:7.0f}/s   CPU µs each: {cpu}")


async def measure_loop(name: str, sink: Sink, count: int, post: Callable[[str], Awaitable[object]]) -> None:
    """Post from a bare loop."""
    url = f"http://127.0.0.1:{sink.port}/hook"
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await post(url)

    usage, sink_before = resource.getrusage(resource.RUSAGE_SELF), cpu_seconds(sink.pid)
    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    own = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    report(name, count, seconds, {"client": own, "sink": cpu_seconds(sink.pid) - sink_before})


async def measure_rivals(sink: Sink, count: int) -> None:
    """Two general clients, and our own without what is around it."""
    async with httpx.AsyncClient() as http:
        await measure_loop("httpx, a bare loop", sink, count // 5, lambda url: http.post(url, content=BODY))
    async with aiohttp.ClientSession() as session:

        async def post(url: str) -> None:
            async with session.post(url, data=BODY) as answer:
                await answer.read()

        await measure_loop("aiohttp, a bare loop", sink, count, post)

    sender = Sender(Resolver(LOCAL), ssl.create_default_context())
    to = LOCAL.parse(f"http://127.0.0.1:{sink.port}/hook")
    await measure_loop("our client, a bare loop", sink, count, lambda _url: sender.post("team", to, [], BODY))
    sender.close()


async def main(sink: Sink) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=5000, help="deliveries (default 5000)")
    count = parser.parse_args().deliveries
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        await measure_service(Path(folder) / "mesh", sink, count)
    await measure_rivals(sink, count)
    print(loads())


if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_sink, args=(theirs,), daemon=True)
    process.start()
    assert process.pid
    uvloop.run(main(Sink(ours, process.pid, ours.recv())))
