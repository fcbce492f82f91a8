"""The whole mesh as children of this process, in order, until it is stopped.

    async with LocalMesh(state=Path(".local")) as mesh:
        print(mesh.base_url, mesh.credentials.qmumma.test)

PostgreSQL and NATS come first; then, at once, all processes, whose channels find each other; then the demo team.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.bootstrap import Credentials, create_credentials, read_credentials, to_json
from deploy.local.configuration import operator_settings, settings, write_configuration
from deploy.local.console import Console
from deploy.local.layout import Layout, assign_ports
from deploy.local.lock import FolderLock
from deploy.local.nats import Nats
from deploy.local.ports import require_free
from deploy.local.postgres import Postgres, ensure_database, ensure_schema, secret, write_secret
from deploy.local.problem import StartError
from deploy.local.process import Child, ChildError, Command
from deploy.local.programs import Program, every_program
from deploy.local.readiness import every, probe
from deploy.local.spawning import Nursery
from mesh.identity import Identity, ensure_authority, ensure_identity
from mesh.migrate import is_current, migrations_folder, upgrade
from mesh.streams import RIGHTS

LEAST_FREE_BYTES = 300 * 1024 * 1024
PATIENCE = 60.0  # seconds for one process to become ready; a first start on a busy machine imports slowly
_RENEWAL_PAUSE = 12 * 3600.0  # seconds; certificates are renewed a month before their end
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}


class LocalMesh:
    """A mesh on this machine; the first start makes everything, a later one finds it."""

    def __init__(
        self,
        state: Path,
        *,
        port: int = 8080,
        base_port: int = 7100,
        programs: Sequence[Program] | None = None,
        console: Console | None = None,
    ) -> None:
        """Prepare a mesh with its state in `state`; `port` is the REST API's, the rest count from `base_port`.

        A port of 0 takes a free one. Nothing happens before `start`.
        """
        self.programs = programs or every_program(workers=1)
        self.layout = Layout(state.resolve(), assign_ports(self.programs, port=port, base_port=base_port))
        self.console = console or Console(quiet=True)
        self.children: dict[str, Child] = {}
        modules = [program.module for program in self.programs]
        self._nursery = Nursery(modules, _ENVIRONMENT, self.layout.log("nursery"))
        self._credentials: Credentials | None = None
        self._lock: FolderLock | None = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """Where the REST API answers."""
        return self.layout.base_url

    @property
    def credentials(self) -> Credentials:
        """The keys of the demo team; there from the end of `start` on."""
        if self._credentials is None:
            raise RuntimeError("the mesh has not been started")
        return self._credentials

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Bring everything up; raises StartError with a cause and a remedy, and then leaves nothing running."""
        self._require_room()
        self._lock = FolderLock.take(self.layout.state)
        try:
            require_free(self.layout.ports)
            await self._start()
        except ChildError as error:
            await self.stop()
            raise StartError(str(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process, callers before those they call, and leave nothing running."""
        if self._renewal is not None:
            self._renewal.cancel()
        tiers: dict[int, list[Child]] = {}
        for name, programs in self._processes().items():
            if child := self.children.get(name):
                tiers.setdefault(min(program.tier for program in programs), []).append(child)
        for tier in sorted(tiers, reverse=True):
            await asyncio.gather(*(child.stop() for child in tiers[tier]))
        self._nursery.kill()
        for name in ("nats", "postgres"):
            if child := self.children.get(name):
                await child.stop()
        self.children.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def kill_all(self) -> None:
        """End every process at once, without asking; `stop` still has to follow."""
        for child in self.children.values():
            child.kill_group()

    def pid(self, name: str) -> int | None:
        """The id of the process of `name` ("billing", "worker", "nats", "postgres"), or None while it is down."""
        return self._child(name).pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the process of `name`, as a fault would; it comes back by itself. Answers the old id."""
        return self._child(name).kill(number)

    async def ready(self, name: str, patience: float = PATIENCE) -> None:
        """Return when the process of `name` runs and answers. Raises ChildError."""
        await self._child(name).ready(patience)

    def _child(self, name: str) -> Child:
        """The process that a part runs in."""
        hosts = {program.name: program.host for program in self.programs}
        return self.children[hosts.get(name) or name]

    def _processes(self) -> dict[str, list[Program]]:
        """The parts of each process, in the order in which a host takes them."""
        found: dict[str, list[Program]] = {}
        for program in self.programs:
            found.setdefault(program.host or program.name, []).append(program)
        return found

    async def _start(self) -> None:
        layout = self.layout
        self._nursery.begin()
        postgres = Postgres(layout.state / "postgres", layout.ports["postgres"], layout.log("postgres"))
        if not postgres.exists():
            with self.console.step("make the database"):
                layout.credentials.unlink(missing_ok=True)  # keys of data that is gone
                await asyncio.to_thread(postgres.initialise)
        self._add(
            Child(postgres.command(), postgres.is_ready, on_crash=self._crashed, before_start=postgres.clear_orphan)
        )
        identities = self.renew_identities()
        nats = Nats(layout.state / "nats", layout.ports["nats"], layout.log("nats"), identities["nats"])
        nats.configure(RIGHTS)
        self._add(Child(nats.command(), nats.is_ready, on_crash=self._crashed))
        operator = identities["operator"]
        await self._await("postgres", "nats")
        await self._prepare_schemas(postgres)
        for program in self.programs:
            told = settings(program, layout, postgres, nats.url)
            write_configuration(layout.configuration(program.name), told)
        write_configuration(layout.configuration("operator"), operator_settings(self.programs, layout, nats.url))
        processes = self._processes()
        for name, programs in processes.items():
            probes = [probe(program, layout, operator) for program in programs]
            command = self._command(name, programs)
            self._add(Child(command, every(probes), on_crash=self._crashed, spawn=self._nursery.spawn))
        await self._await(*processes)
        if any(program.service == "accounts" for program in self.programs):
            await self._bootstrap(operator)
        self._renewal = asyncio.create_task(self._keep_identities(), name="renew identities")

    def renew_identities(self) -> dict[str, Identity]:
        """Issue every certificate that is missing or close to its end; servers and channels follow their files."""
        authority = ensure_authority(self.layout.identities / "authority")
        names = {"nats", "operator", *(program.service for program in self.programs)}
        return {name: ensure_identity(authority, name, folder=self.layout.identities / name) for name in names}

    def follow_authority(self) -> None:
        """Issue what is missing and hand out who is trusted; NATS rereads its files when it is told to."""
        self.renew_identities()
        if self.pid("nats") is not None:
            self.kill("nats", signal.SIGHUP)

    async def _keep_identities(self) -> None:
        """Renew for as long as the mesh runs."""
        while True:
            await asyncio.sleep(_RENEWAL_PAUSE)
            self.follow_authority()

    def _add(self, child: Child) -> None:
        self.children[child.command.name] = child
        child.start()

    async def _await(self, *names: str) -> None:
        start = time.monotonic()

        async def ready(name: str) -> None:
            await self.children[name].ready(PATIENCE)
            self.console.done(name, time.monotonic() - start)

        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(ready(name))
        except* ChildError as failed:
            first = failed.exceptions[0]
        else:
            return
        raise first

    async def _prepare_schemas(self, postgres: Postgres) -> None:
        services = sorted({program.service for program in self.programs if program.has_schema})
        server = await postgres.connect("postgres")
        await ensure_database(server)
        await server.close()
        connection = await postgres.connect()
        behind = []
        for service in services:
            await ensure_schema(connection, service, secret(postgres.secrets / f"{service}.password"))
            folder = migrations_folder(f"services.{service}")
            if not await is_current(connection, service, folder):
                behind.append((service, folder))
        await connection.close()
        if behind:
            with self.console.step(f"migrate {', '.join(service for service, _ in behind)}"):
                for service, folder in behind:
                    await upgrade(postgres.config(service), service, folder)

    def _command(self, name: str, programs: Sequence[Program]) -> Command:
        files = [str(self.layout.configuration(program.name)) for program in programs]
        if len(programs) == 1:
            arguments = [programs[0].module, "--config", *files]
        else:
            parts = zip(programs, files, strict=True)
            arguments = ["mesh.host", *(f"{program.module}={file}" for program, file in parts)]
        return Command(name, (sys.executable, "-m", *arguments), self.layout.log(name), folder=self.layout.state)

    async def _bootstrap(self, operator: Identity) -> None:
        file = self.layout.credentials
        known = read_credentials(file)
        if known is None:
            with self.console.step("create the demo team and its keys"):
                known = await create_credentials(self.layout.address("accounts"), operator, self.base_url)
        self._credentials = Credentials(self.base_url, known.qmumma)
        write_secret(file, to_json(self._credentials))

    def _require_room(self) -> None:
        state = self.layout.state
        try:
            state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"The state folder {state} cannot be made: {error.strerror}.") from error
        free = shutil.disk_usage(state).free
        if free < LEAST_FREE_BYTES:
            raise StartError(
                f"The disk of {state} is full: {free // 2**20} MiB are free, {LEAST_FREE_BYTES // 2**20} are needed. "
                "Make room, or choose another folder: `make up STATE=…` (--state)."
            )

    def _crashed(self, name: str, status: int, pause: float) -> None:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self.console.warning(f"{name} {how}; starting it again in {pause:.1f} s (log: {self.layout.log(name)})")
