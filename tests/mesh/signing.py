"""A signing service for tests: a database of its own, one or more processes on it, and a naive auditor of its log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import rfc8785
from qm.signing.v1 import signing_pb2 as pb
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub

from deploy.local.ports import free_ports
from deploy.local.postgres import ensure_schema, secret, write_secret
from deploy.local.process import Child, Command
from mesh.channel import MeshChannel
from mesh.config import DatabaseConfig
from mesh.errors import MeshError
from mesh.identity import Authority, ensure_identity
from mesh.migrate import migrations_folder, upgrade
from mesh.process import Process
from services.signing.__main__ import wire
from services.signing.config import SigningConfig
from services.signing.records import RESULT_TYPE, Json
from tests.conftest import RunningPostgres

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub


def record(number: int, **members: Json) -> bytes:
    """A canonical record, another for each number."""
    own: dict[str, Json] = {"job_id": f"qm_job_{number:032x}", "cost_usd": 0.05, "counts": {"00": 511, "11": 513}}
    return rfc8785.dumps({**own, **members, "type": RESULT_TYPE})


def sign_request(number: int, **members: Json) -> pb.SignRecordRequest:
    """A request to seal `record(number)` under a subject of its own."""
    return pb.SignRecordRequest(subject=f"job/{number}", record_type=RESULT_TYPE, record=record(number, **members))


@dataclass
class Log:
    """The database of one log, its keys' key, and the identities of those who serve and call it."""

    authority: Authority
    database: DatabaseConfig
    key_file: Path
    folder: Path

    @classmethod
    async def make(cls, postgres: RunningPostgres, authority: Authority, folder: Path, name: str = "fresh") -> Log:
        """An empty log in the database `name`, in place of the one that was there.

        A database is some three hundred files to fsync, so tests take turns in a few of them.
        """
        server = await postgres.server.connect()
        if not await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await server.execute(f"CREATE DATABASE {name}")
        await server.close()
        connection = await postgres.server.connect(name)
        await connection.execute("DROP SCHEMA IF EXISTS signing CASCADE")
        await ensure_schema(connection, "signing", secret(postgres.server.secrets / "signing.password"))
        await connection.close()
        database = postgres.server.config("signing", name)
        await upgrade(database, "signing", migrations_folder("services.signing"))
        key_file = folder / f"{name}.key"
        write_secret(key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        return cls(authority, database, key_file, folder)

    def config(self, port: int = 0) -> SigningConfig:
        """What one process is told."""
        return SigningConfig(
            listen=f"127.0.0.1:{port}",
            identity_folder=ensure_identity(self.authority, "signing").certificate_file.parent,
            database=self.database,
            key_encryption_key_file=self.key_file,
        )

    def channel(self, port: int, caller: str = "execution") -> MeshChannel:
        """The way to a process, as a service of the mesh."""
        return MeshChannel(f"127.0.0.1:{port}", ensure_identity(self.authority, caller), "signing")

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """A look at the database itself."""
        assert self.database.password_file
        return await asyncpg.connect(
            self.database.url,
            password=self.database.password_file.read_text().strip(),
            server_settings={"search_path": "signing"},
        )

    async def audit(self) -> list[asyncpg.Record]:
        """Every seal in the order of the log, after the stored log was checked against the definition of its tree."""
        connection = await self.connect()
        seals = await connection.fetch("SELECT * FROM seals ORDER BY leaf_index")
        checkpoints = await connection.fetch("SELECT size, root, note FROM checkpoints ORDER BY size")
        await connection.close()
        assert [seal["leaf_index"] for seal in seals] == list(range(len(seals)))
        leaves = [bytes(seal["leaf"]) for seal in seals]
        assert [seal["leaf_hash"] for seal in seals] == [naive_root([leaf]) for leaf in leaves]
        assert [json.loads(seal["leaf"])["audit_hash"] for seal in seals] == [
            f"sha256:{seal['audit_hash'].hex()}" for seal in seals
        ]
        assert checkpoints[-1]["size"] == len(leaves)
        for checkpoint in checkpoints:
            assert checkpoint["root"] == naive_root(leaves[: checkpoint["size"]])
            if checkpoint["note"] is not None:  # somebody has asked for it
                assert checkpoint["note"].split("\n")[1:3] == [str(checkpoint["size"]), base64_of(checkpoint["root"])]
        return seals


class InProcess:
    """A signing service on this event loop, with a stub for `execution`."""

    def __init__(self, log: Log, **changes: str | Path) -> None:
        """Make it; enter it to start. `changes` replace settings."""
        self.process = Process("signing", msgspec.structs.replace(log.config(), **changes))
        self.log = log
        self.port = self.process.server.port

    async def __aenter__(self) -> SigningServiceAsyncStub:
        self._serving = asyncio.create_task(self.process.serve(wire))
        self._channel = self.log.channel(self.port)
        ready = asyncio.create_task(_answers(self._channel))
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            ready.cancel()
            await self._channel.close()
            await self._serving
        return stub(self._channel)

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        self.process.stopping.set()
        await self._serving


def stub(channel: MeshChannel) -> SigningServiceAsyncStub:
    """The service behind a channel."""
    made: SigningServiceAsyncStub = SigningServiceStub(channel)
    return made


def child(log: Log, name: str) -> tuple[Child, int]:
    """A signing service as a process of its own, restarted when it dies, and its port."""
    [port] = free_ports(1)
    file = log.folder / f"{name}.toml"
    config = log.config(port)
    file.write_text(
        f'listen = "{config.listen}"\nidentity_folder = "{config.identity_folder}"\n'
        f'key_encryption_key_file = "{log.key_file}"\n'
        f'[database]\nurl = "{log.database.url}"\npassword_file = "{log.database.password_file}"\n'
    )
    arguments = (sys.executable, "-m", "services.signing", "--config", str(file))

    async def is_ready() -> bool:
        channel = log.channel(port)
        try:
            await stub(channel).GetCheckpoint(pb.GetCheckpointRequest(), timeout=1)
        except MeshError:
            return False
        finally:
            await channel.close()
        return True

    return Child(Command(name, arguments, log.folder / f"{name}.log"), is_ready, on_crash=lambda *_: None), port


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) as RFC 6962, section 2.1, defines it, and nothing cleverer."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) as RFC 6962, section 2.1.1, defines it."""
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if index < half:
        return [*naive_path(index, leaves[:half]), naive_root(leaves[half:])]
    return [*naive_path(index - half, leaves[half:]), naive_root(leaves[:half])]


def naive_consistency(first: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF(m, D[n]) as RFC 6962, section 2.1.2, defines it."""
    if first == len(leaves):
        return [] if whole else [naive_root(leaves)]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if first <= half:
        return [*naive_consistency(first, leaves[:half], whole=whole), naive_root(leaves[half:])]
    return [*naive_consistency(first - half, leaves[half:], whole=False), naive_root(leaves[:half])]


def base64_of(data: bytes) -> str:
    """Padded base64."""
    return base64.b64encode(data).decode()


async def _answers(channel: MeshChannel) -> None:
    await stub(channel).GetCheckpoint(pb.GetCheckpointRequest(), timeout=10)
