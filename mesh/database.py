"""PostgreSQL for one service: a pool that answers in bounded time and comes back by itself.

A service owns one schema with the name of its role and sees no other. Queries are plain SQL on asyncpg; names need no
schema, because the search path is set. Two things are mapped:

- `jsonb` parameters and columns are Python values, through msgspec (`msgspec.Raw` passes encoded JSON as it is);
  a float that must stay exact belongs into a string.
- A lost, refused or overloaded server raises `Unavailable` (DATABASE_UNAVAILABLE), and so does one
  without disk or memory (DATABASE_FULL); a statement over its time raises `DeadlineExceeded` (DATABASE_TIMEOUT). The
  next call makes a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, cast

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from mesh.config import DatabaseConfig
from mesh.errors import DeadlineExceeded, MeshError, Unavailable
from mesh.retry import retry_while_unavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_JSONB_VERSION = b"\x01"
_ROUND_TRIP_GRACE = 2.0  # seconds that the client waits beyond the server's own statement timeout
_LOST = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleSessionTimeoutError,
)


class _PlainConnection(asyncpg.Connection):
    """A connection that keeps no state between two users, and so needs no reset: half the round trips of a statement.

    Nothing here takes a session lock, listens, or sets anything beyond its transaction.
    """

    def get_reset_query(self) -> str:
        return ""


class _Loan:
    """One connection for the length of a block; with `async with`, and quicker than a generator would be."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> PoolConnectionProxy[asyncpg.Record]:
        try:
            self._connection = await self._database.take()
        except Exception as error:
            if (known := _translated(error, connecting=True)) is not None:
                raise known from error
            raise
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._database.give(self._connection, clean=error is None)
        if isinstance(error, Exception) and (known := _translated(error)) is not None:
            raise known from error


class Database:
    """A pool of connections to the schema of one service."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, acquire_timeout: float) -> None:
        """Wrap a pool; `connect` is the way to make one."""
        self._pool = pool
        self._acquire_timeout = acquire_timeout
        # Connections that go from hand to hand without the pool, whose bookkeeping costs as much as a short statement.
        self._idle: list[PoolConnectionProxy[asyncpg.Record]] = []
        self._asking = 0

    @classmethod
    async def connect(
        cls,
        config: DatabaseConfig,
        *,
        schema: str,
        statement_timeout: float = 5.0,
        acquire_timeout: float = 10.0,
        patience: float = 10.0,
        plan_once: bool = False,
    ) -> Database:
        """Open the pool; a server that is still starting is awaited for `patience` seconds.

        `statement_timeout` bounds one statement and `acquire_timeout` the wait for a connection, in seconds; a server
        that is not there is known at once, so the wait is long: it is one in a queue. With
        `plan_once` a statement keeps its plan whatever its arguments are: for large statements over few rows, whose
        plan costs more than they do. Raises
        Unavailable when the server stays away, and PermissionError where it refuses the role or its password.
        """
        pool = asyncpg.create_pool(
            config.url,
            password=password_source(config.password_file),
            min_size=0,
            max_size=config.pool_size,
            connection_class=_PlainConnection,
            timeout=acquire_timeout,
            command_timeout=statement_timeout + _ROUND_TRIP_GRACE,
            init=_map_jsonb,
            server_settings={
                "plan_cache_mode": "force_generic_plan" if plan_once else "auto",
                "search_path": schema,
                "application_name": schema,
                "statement_timeout": str(round(statement_timeout * 1000)),
                "idle_in_transaction_session_timeout": str(round((statement_timeout + acquire_timeout) * 1000)),
            },
        )
        await retry_while_unavailable(lambda: _open(pool), patience)
        return cls(pool, acquire_timeout=acquire_timeout)

    def acquire(self) -> _Loan:
        """A connection of the pool for the length of the block, each statement its own transaction."""
        return _Loan(self)

    async def take(self) -> PoolConnectionProxy[asyncpg.Record]:
        """A connection, for `give` to take back; `acquire` does both."""
        while self._idle:
            connection = self._idle.pop()
            if _is_at_rest(connection):
                return connection
            await self.give(connection, clean=False)
        self._asking += 1
        try:
            return await self._pool.acquire(timeout=self._acquire_timeout)
        finally:
            self._asking -= 1

    async def give(self, connection: PoolConnectionProxy[asyncpg.Record], *, clean: bool) -> None:
        """Take a connection back; one whose block did not end well is looked after by the pool."""
        if clean and not self._asking and _is_at_rest(connection):
            self._idle.append(connection)
            return
        # A connection lost meanwhile was dropped by the pool itself; what the block did stands on its own.
        with contextlib.suppress(asyncpg.InternalClientError, *_LOST):
            await self._pool.release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self, *, first: str = "") -> AsyncIterator[Connection]:
        """A connection in a READ COMMITTED transaction: committed at the end of the block, rolled back on an error.

        `first` is a statement without arguments that begins it, such as one that takes a lock: it costs no round trip
        of its own. When the connection is lost during the commit itself, whether it happened is unknown; only an
        idempotent caller may try again.
        """
        async with self.acquire() as connection:
            await connection.execute(f"BEGIN; {first}")
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(asyncpg.InterfaceError, *_LOST):
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    async def fetch(self, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """All rows of one statement."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of one statement, or None."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - the query decides
        """The first column of the first row of one statement, or None."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: object) -> str:
        """The status word of one statement, such as `DELETE 3`."""
        async with self.acquire() as connection:
            return await connection.execute(query, *arguments)

    async def is_ready(self) -> bool:
        """Whether a query gets through now; takes no longer than the pool's time limits."""
        try:
            return bool(await self.fetchval("SELECT true"))
        except MeshError:
            return False

    async def close(self) -> None:
        """Give connections two seconds to finish, then cut them."""
        try:
            async with asyncio.timeout(2):
                while self._idle:
                    await self.give(self._idle.pop(), clean=False)
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _is_at_rest(connection: PoolConnectionProxy[asyncpg.Record]) -> bool:
    """Whether a connection can be used by anyone: it stands, and is in no transaction."""
    try:
        return not (connection.is_closed() or connection.is_in_transaction())
    except asyncpg.InterfaceError:  # it was lost, and the pool has taken it back
        return False


def password_source(file: Path | None) -> Callable[[], str] | None:
    """What asyncpg asks for the password at each new connection, so that a changed file needs no restart."""
    return None if file is None else lambda: file.read_text().strip()


@contextlib.contextmanager
def failed_connections_as_unavailable() -> Iterator[None]:
    """Turn every way in which asyncpg says, while it connects, "the server is not there" into `Unavailable`."""
    try:
        yield
    except Exception as error:
        if (known := _translated(error, connecting=True)) is not None:
            raise known from error
        raise


def _translated(error: Exception, *, connecting: bool = False) -> MeshError | None:
    """What an error of asyncpg means to a caller; None for one that is none of the connection's.

    While connecting any OSError is one; later a file that a caller's block cannot open is the caller's own affair.
    """
    match error:
        case MeshError():
            return None
        case asyncpg.QueryCanceledError() | asyncpg.LockNotAvailableError():
            return DeadlineExceeded("The database took too long; try again.", reason="DATABASE_TIMEOUT")
        case asyncpg.DiskFullError() | asyncpg.OutOfMemoryError():
            message = "The database has no room left; try again when the operator has made some."
            return Unavailable(message, reason="DATABASE_FULL")
        case asyncpg.InternalClientError():
            # What a connection that dies in the middle of a statement says of itself now and then.
            lost = "cannot switch to state" in str(error)
        case asyncpg.InterfaceError():
            lost = "closed" in str(error) or "closing" in str(error)
        case _:
            lost = isinstance(error, _LOST) or (connecting and isinstance(error, OSError))
    return _unavailable(error) if lost else None


async def _open(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    try:
        with failed_connections_as_unavailable():
            await pool
            await pool.fetchval("SELECT 1")
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        message = f"PostgreSQL refuses this role: {error}"
        raise PermissionError(message) from error


async def _map_jsonb(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> object:
    return cast("object", msgspec.json.decode(memoryview(data)[1:]))


def _unavailable(error: Exception) -> Unavailable:
    message = "The database cannot be reached at the moment; try again."
    return Unavailable(message, reason="DATABASE_UNAVAILABLE", metadata={"detail": f"{type(error).__name__} {error}"})
