"""A service on the test's own event loop, behind its real server over mTLS, on a database of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from deploy.local.postgres import ensure_schema, secret
from mesh.channel import MeshChannel
from mesh.config import DatabaseConfig, MeshConfig
from mesh.identity import Authority, ensure_identity
from mesh.migrate import migrations_folder, upgrade
from mesh.process import Process
from tests.conftest import RunningPostgres

_numbers = itertools.count()
C = TypeVar("C", bound=MeshConfig)


@dataclass(frozen=True)
class Home:
    """The schema of one service in a database of its own, and the identities around it."""

    service: str
    authority: Authority
    database: DatabaseConfig

    @classmethod
    async def make(cls, service: str, postgres: RunningPostgres, authority: Authority) -> Home:
        """Make the database, with the schema at its newest revision."""
        name = f"{service}_{next(_numbers)}"
        server = await postgres.server.connect()
        await server.execute(f"CREATE DATABASE {name}")
        await server.close()
        connection = await postgres.server.connect(name)
        await ensure_schema(connection, service, secret(postgres.server.secrets / f"{service}.password"))
        await connection.close()
        database = postgres.server.config(service, name)
        await upgrade(database, service, migrations_folder(f"services.{service}"))
        return cls(service, authority, database)

    def config(self, kind: type[C], **settings: object) -> C:
        """A configuration of the service on a free port."""
        ensure_identity(self.authority, self.service)
        known: dict[str, Any] = {"database": self.database, "identity_folder": self.authority.folder, **settings}
        return kind(listen="127.0.0.1:0", **known)

    @asynccontextmanager
    async def serve(
        self, config: C, wire: Callable[[Process[C], C], Awaitable[None]]
    ) -> AsyncIterator[Callable[[str], MeshChannel]]:
        """Run the service; yields the way to it by the caller's name. A wiring that fails raises here."""
        process = Process(self.service, config)
        port = process.server.port
        serving = asyncio.create_task(process.serve(wire))
        channels: list[MeshChannel] = []

        def channel(caller: str) -> MeshChannel:
            identity = ensure_identity(self.authority, caller)
            channels.append(MeshChannel(f"127.0.0.1:{port}", identity, self.service))
            return channels[-1]

        try:
            yield channel
        finally:
            for each in channels:
                await each.close()
            process.stopping.set()
            await serving

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """A look at the database itself."""
        assert self.database.password_file
        password = self.database.password_file.read_text().strip()
        connection = await asyncpg.connect(
            self.database.url, password=password, server_settings={"search_path": self.service}
        )
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()
