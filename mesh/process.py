"""A process of the mesh, from its configuration to its end. A service's `__main__` only wires:

    async def wire(process: Process, config: Config) -> None:
        store = Store(await process.database())
        process.server.add(billing_pb2.DESCRIPTOR.services_by_name["BillingService"], BillingService(store))

    PART = Part("billing", Config, wire)

    if __name__ == "__main__":
        run(PART)

One operating-system process may host several parts (`python -m mesh.host`): each keeps its identity, its configuration
and its port, and unary calls between them go through the callee's guard without a socket.

SIGTERM or SIGINT drains: no new calls, those in flight end, closers run in reverse, exit 0. Whoever starts the process
sets GRPC_VERBOSITY=NONE: gRPC's core would write lines of its own to standard error, which is for JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import uvloop

from mesh.bulletin import Bulletin
from mesh.channel import MeshChannel
from mesh.config import ConfigError, MeshConfig, load
from mesh.errors import MeshError
from mesh.guard import load_guard
from mesh.identity import Identity
from mesh.server import MeshServer
from mesh.telemetry import Telemetry, configure_logging, log, work_as

if TYPE_CHECKING:
    from mesh.database import Database
    from mesh.dispatch import Dispatcher
    from mesh.events import Events

GARBAGE_THRESHOLD = 20_000
"""New objects between two collections of the youngest; Python's own 700 costs a busy server several per cent."""

C = TypeVar("C", bound=MeshConfig)


class Process(Generic[C]):
    """What services share, opened when it is asked for and closed in reverse at the end."""

    def __init__(
        self,
        name: str,
        config: C,
        neighbours: dict[str, Dispatcher] | None = None,
        bulletin: Bulletin | None = None,
    ) -> None:
        """Take a name ("billing"), which is the identity and the database schema too.

        `neighbours` has the parts of the same host that serve at the moment; this one joins them when it does.
        `bulletin` is what they tell each other by.
        """
        self.name = name
        self._bulletin = bulletin
        self._neighbours = {} if neighbours is None else neighbours
        self.config = config
        self.identity = Identity.at(config.identity_folder, name)
        self.telemetry = Telemetry.start(name, config.telemetry)
        self.stopping = asyncio.Event()
        self.failed = False
        self._stack = AsyncExitStack()
        self._server: MeshServer | None = None

    @property
    def server(self) -> MeshServer:
        """The gRPC server; it starts when the wiring is done."""
        if self._server is None:
            self._server = MeshServer(self.config.listen, self.identity, load_guard(), self.telemetry)
        return self._server

    async def database(self, *, plan_once: bool = False) -> Database:
        """A pool of this service's schema, as `Database.connect` says; raises ConfigError where none is configured."""
        from mesh.database import Database  # noqa: PLC0415 - only processes with a schema pay for asyncpg

        settings = self.config.database
        if settings is None:
            message = f"{self.name} needs [database] in its configuration"
            raise ConfigError(message)
        database = await Database.connect(settings, schema=self.name, plan_once=plan_once)
        self.on_close(database.close)
        return database

    async def events(self) -> Events:
        """The connection to NATS; raises ConfigError where none is configured."""
        from mesh.events import Events  # noqa: PLC0415 - only processes with events pay for nats

        if self.config.events is None:
            message = f"{self.name} needs [events] in its configuration"
            raise ConfigError(message)
        events = await Events.connect(self.config.events.url, self.identity, bulletin=self._bulletin)
        self.on_close(events.close)
        return events

    def channel(self, service: str) -> MeshChannel:
        """The way to another service; raises ConfigError where its address is not configured."""
        target = self.config.peers.get(service)
        if target is None:
            message = f"{self.name} needs the address of {service} under [peers] in its configuration"
            raise ConfigError(message)
        channel = MeshChannel(target, self.identity, service, self._neighbours)
        self.on_close(channel.close)
        return channel

    def background(self, work: Awaitable[None], name: str) -> None:
        """Run `work` beside the server until the end; if it fails, the process stops and its supervisor restarts it."""
        task = asyncio.ensure_future(work)

        def ended(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("background_failed", task=name, exc_info=error)
                self.failed = True
                self.stopping.set()

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        task.add_done_callback(ended)
        self.on_close(cancel)

    def on_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Await `closer` at the end; the last one registered goes first."""
        self._stack.push_async_callback(closer)

    async def serve(self, wire: Callable[[Process[C], C], Awaitable[None]]) -> None:
        """Wire, serve until `stopping`, then drain."""
        work_as(self.name)
        self.on_close(self.telemetry.close)
        async with self._stack:
            if await self._wired(wire):
                await self._serve()

    async def _wired(self, wire: Callable[[Process[C], C], Awaitable[None]]) -> bool:
        """Run `wire`, which may wait for a database; False where the process is to stop before that is done."""
        wiring = asyncio.ensure_future(wire(self, self.config))
        stopped = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait({wiring, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if wiring.done():
            wiring.result()
            return True
        wiring.cancel()
        await asyncio.gather(wiring, return_exceptions=True)
        return False

    async def _serve(self) -> None:
        # What is there now stays: the collector need not look at it again, nor after every few hundred objects.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
        if self._server is not None:
            await self._server.start()
            if self._server.dispatcher.methods:  # a worker answers health checks alone
                self._neighbours[self.name] = self._server.dispatcher
            log.info("ready", listen=self.config.listen)
        await self.stopping.wait()
        log.info("draining")
        if self._server is not None:
            self._neighbours.pop(self.name, None)
            await self._server.drain(self.config.drain_seconds)


@dataclass(frozen=True)
class Part(Generic[C]):
    """A service, the edge or a worker, as its module offers it to whoever starts it."""

    name: str
    """Its identity, and its schema where it has one."""
    config: type[C]
    wire: Callable[[Process[C], C], Awaitable[None]]


def run(part: Part[Any]) -> None:
    """Be one part until a signal ends it: `python -m services.billing --config FILE`."""
    parser = argparse.ArgumentParser(prog=f"q-mumma {part.name}", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file of this process")
    host(part.name, [(part, parser.parse_args().config)])


def host(name: str, parts: Sequence[tuple[Part[Any], Path]]) -> NoReturn:
    """Be several parts, each with its configuration, until a signal ends them, or one of them.

    A part comes after those it calls. Exits 0 after a drain, 1 after a failure of background work, 2 for a
    configuration that cannot work.
    """
    try:
        configured = [(part, load(path, part.config)) for part, path in parts]
        configure_logging(name, configured[0][1].telemetry.log_level)
        failed = uvloop.run(_host(configured))
    except (ConfigError, MeshError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    sys.exit(1 if failed else 0)


async def _host(parts: Sequence[tuple[Part[Any], Any]]) -> bool:
    """Serve until a signal, or the end of any part; then end them all, callers before those they call."""
    neighbours: dict[str, Dispatcher] = {}
    bulletin = Bulletin()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    hosted: list[tuple[Process[Any], asyncio.Task[None]]] = []
    for part, config in parts:
        process = Process(part.name, config, neighbours, bulletin)
        task = asyncio.create_task(process.serve(part.wire), name=part.name)
        task.add_done_callback(lambda _: over.set())
        hosted.append((process, task))
    await over.wait()
    for process, task in reversed(hosted):
        process.stopping.set()
        await asyncio.wait([task])
    for _, task in hosted:
        task.result()
    return any(process.failed for process, _ in hosted)
