"""Real parts for tests, started once a session and only when a test asks for them."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from deploy.local.nats import Nats
from deploy.local.ports import free_ports
from deploy.local.postgres import Postgres, ensure_database, ensure_schema, secret
from deploy.local.process import Child
from mesh.config import DatabaseConfig
from mesh.identity import Authority, Identity, ensure_authority, ensure_identity
from mesh.streams import RIGHTS

T = TypeVar("T")
PATIENCE = 60.0


class Background:
    """An event loop of its own, so that servers are watched whichever loop a test runs on."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="servers", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=90)


class Running:
    """A server under supervision: a test may kill it and wait for its return."""

    def __init__(self, child: Child, background: Background) -> None:
        self.child = child
        self._background = background

    def kill(self) -> int:
        """Kill -9; the server is started again by itself."""
        return self.child.kill()

    def stop(self) -> None:
        self._background.run(self.child.stop())

    def discard(self) -> None:
        """Stop without a thought for the data."""
        self._background.loop.call_soon_threadsafe(self.child.kill_group)
        self.stop()

    def start(self) -> None:
        async def start() -> None:
            self.child.start()
            await self.child.ready(PATIENCE)

        self._background.run(start())

    async def ready(self) -> None:
        """Wait until the server answers again."""
        await asyncio.to_thread(self._background.run, self.child.ready(PATIENCE))


class RunningPostgres(Running):
    """PostgreSQL with the mesh's database."""

    def __init__(self, server: Postgres, child: Child, background: Background) -> None:
        super().__init__(child, background)
        self.server = server
        self._numbers = itertools.count()

    async def schema(self, name: str = "") -> DatabaseConfig:
        """Make an empty schema with a role of its own; both have the name in the answer's URL."""
        name = name or f"test_{next(self._numbers)}"
        connection = await self.server.connect()
        await ensure_schema(connection, name, secret(self.server.secrets / f"{name}.password"))
        await connection.close()
        return self.server.config(name)


class RunningNats(Running):
    """NATS with the identities of the mesh."""

    def __init__(self, server: Nats, authority: Authority, child: Child, background: Background) -> None:
        super().__init__(child, background)
        self.server = server
        self._authority = authority

    @property
    def url(self) -> str:
        return self.server.url

    def identity(self, name: str) -> Identity:
        return ensure_identity(self._authority, name)


def _ignore_crash(_name: str, _status: int, _pause: float) -> None:
    """Crashes are what some tests are about."""


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that the system user of PostgreSQL can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="qmumma-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def background() -> Background:
    return Background()


@pytest.fixture(scope="session")
def authority(scratch: Path) -> Authority:
    """The certificate authority of this session."""
    return ensure_authority(scratch / "identity")


@pytest.fixture(scope="session")
def postgres(scratch: Path, background: Background) -> Iterator[RunningPostgres]:
    """A real PostgreSQL."""
    server = Postgres(scratch / "postgres", free_ports(1)[0], scratch / "postgres.log")
    server.initialise(durable=False)
    child = Child(server.command(), server.is_ready, on_crash=_ignore_crash, before_start=server.clear_orphan)
    running = RunningPostgres(server, child, background)
    running.start()

    async def prepare() -> None:
        connection = await server.connect("postgres")
        await ensure_database(connection)
        await connection.close()

    background.run(prepare())
    yield running
    running.discard()


@pytest.fixture(scope="session")
def nats_server(scratch: Path, background: Background, authority: Authority) -> Iterator[RunningNats]:
    """A real NATS with JetStream and mTLS."""
    identity = ensure_identity(authority, "nats")
    server = Nats(scratch / "nats", free_ports(1)[0], scratch / "nats.log", identity)
    server.configure(RIGHTS)
    child = Child(server.command(), server.is_ready, on_crash=_ignore_crash)
    running = RunningNats(server, authority, child, background)
    running.start()
    yield running
    running.discard()
