"""The pool keeps services apart, answers in bounded time, and comes back after PostgreSQL was killed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import msgspec
import pytest

from mesh.config import DatabaseConfig
from mesh.database import Database
from mesh.errors import DeadlineExceeded, Unavailable
from mesh.migrate import current_revision, newest_revision, render, upgrade
from mesh.retry import retry_while_unavailable
from tests.conftest import RunningPostgres

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("thing", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("body", sa.Text))
"""
SECOND = """
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    op.execute("INSERT INTO thing (id, body) VALUES (1, 'one')")
"""


def _role(config: DatabaseConfig) -> str:
    return config.url.split("//")[1].split("@")[0]


async def _open(config: DatabaseConfig, **options: float) -> Database:
    return await Database.connect(config, schema=_role(config), **options)


async def _query_until_it_fails(database: Database) -> None:
    while True:
        await database.fetchval("SELECT 1")


async def test_jsonb_travels_as_python_values_alone_and_in_arrays(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema())
    value = {"counts": {"00": 511, "11": 513}, "big": 2**53 + 1, "text": "Å", "none": None, "list": [True]}
    assert await database.fetchval("SELECT $1::jsonb", value) == value
    assert await database.fetchval("SELECT $1::jsonb", msgspec.Raw(b'{"a": 1}')) == {"a": 1}
    rows = await database.fetch("SELECT * FROM unnest($1::jsonb[]) AS value", [{"a": 1}, {"b": [2]}, {}])
    assert [row["value"] for row in rows] == [{"a": 1}, {"b": [2]}, {}]
    await database.close()


async def test_a_transaction_is_all_or_nothing(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema())
    await database.execute("CREATE TABLE kept (id int)")

    async def insert_and_fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await insert_and_fail()
    assert await database.fetchval("SELECT count(*) FROM kept") == 0
    await database.close()


async def test_an_error_of_the_callers_own_stays_what_it_is(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema())

    async def open_nothing() -> None:
        async with database.transaction():
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        await open_nothing()
    await database.close()


async def test_a_service_cannot_read_another_services_schema(postgres: RunningPostgres) -> None:
    one, other = await postgres.schema(), await postgres.schema()
    owner, stranger = await _open(one), await _open(other)
    await owner.execute("CREATE TABLE secret (id int)")
    name = _role(one)
    for statement in (
        f"TABLE {name}.secret",
        f"CREATE TABLE {name}.mine (id int)",
        f"DROP SCHEMA {name} CASCADE",
        f"SET ROLE {name}",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute(statement)
    await owner.close()
    await stranger.close()


async def test_a_wrong_password_is_refused_for_good(postgres: RunningPostgres, tmp_path: Path) -> None:
    config = await postgres.schema()
    (tmp_path / "password").write_text("guess")
    with pytest.raises(PermissionError, match="password"):
        await _open(msgspec.structs.replace(config, password_file=tmp_path / "password"))
    with pytest.raises(PermissionError):
        await _open(msgspec.structs.replace(config, password_file=None))


async def test_a_slow_statement_is_stopped_at_its_time(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema(), statement_timeout=0.1)
    with pytest.raises(DeadlineExceeded) as caught:
        await database.execute("SELECT pg_sleep(5)")
    assert caught.value.reason == "DATABASE_TIMEOUT"
    assert await database.is_ready()
    await database.close()


@pytest.mark.parametrize("code", ["53100", "53200"])
async def test_a_server_without_room_is_unavailable_and_says_so(postgres: RunningPostgres, code: str) -> None:
    database = await _open(await postgres.schema())
    with pytest.raises(Unavailable) as caught:
        await database.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
    assert caught.value.reason == "DATABASE_FULL"
    assert await database.is_ready()
    await database.close()


async def test_an_exhausted_pool_is_unavailable_in_bounded_time(postgres: RunningPostgres) -> None:
    config = msgspec.structs.replace(await postgres.schema(), pool_size=1)
    database = await _open(config, acquire_timeout=0.2)
    async with database.acquire():
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


async def test_a_server_that_is_not_there_is_unavailable(postgres: RunningPostgres) -> None:
    config = await postgres.schema()
    gone = msgspec.structs.replace(config, url=config.url.replace(str(postgres.server.port), "1"))
    with pytest.raises(Unavailable) as caught:
        await _open(gone, patience=0.0)
    assert caught.value.reason == "DATABASE_UNAVAILABLE"


async def test_the_pool_recovers_after_postgres_is_killed(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema())
    await database.execute("CREATE TABLE kept (id int)")
    await database.execute("INSERT INTO kept VALUES (1)")
    waiting = asyncio.create_task(database.execute("SELECT pg_sleep(4)"))
    async with database.acquire():
        postgres.kill()
        with pytest.raises(Unavailable):
            await waiting
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await _query_until_it_fails(database)
    assert time.monotonic() - start < 3

    async def count() -> None:
        assert await database.fetchval("SELECT count(*) FROM kept") == 1

    await retry_while_unavailable(count, 60)
    await postgres.ready()
    assert await database.is_ready()
    await database.close()


async def test_a_connection_that_is_lost_while_nobody_uses_it_is_replaced(postgres: RunningPostgres) -> None:
    database = await _open(await postgres.schema())
    async with database.acquire() as idle:
        number = await idle.fetchval("SELECT pg_backend_pid()")
    server = await postgres.server.connect()
    await server.execute("SELECT pg_terminate_backend($1)", number)
    await server.close()

    async def noticed() -> None:
        while not idle.is_closed():
            await asyncio.sleep(0.005)

    with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
        await asyncio.wait_for(noticed(), 10)
    assert await database.fetchval("SELECT pg_backend_pid()") != number
    await database.close()


async def test_migrations_run_once_and_then_cost_one_query(postgres: RunningPostgres, tmp_path: Path) -> None:
    config = await postgres.schema()
    (tmp_path / "0001_thing.py").write_text(FIRST)
    assert await upgrade(config, _role(config), tmp_path) is True
    (tmp_path / "0002_one.py").write_text(SECOND)
    outcomes = await asyncio.gather(*(upgrade(config, _role(config), tmp_path) for _ in range(3)))
    assert sorted(outcomes) == [False, False, True]
    database = await _open(config)
    assert await database.fetchval("SELECT body FROM thing") == "one"
    async with database.acquire() as connection:
        assert await current_revision(connection, _role(config)) == "0002"
    await database.close()


async def test_a_wrong_revision_leaves_nothing_behind(postgres: RunningPostgres, tmp_path: Path) -> None:
    config = await postgres.schema()
    (tmp_path / "0001_thing.py").write_text(FIRST)
    (tmp_path / "0002_bad.py").write_text(SECOND.replace("INTO thing", "INTO nothing"))
    with pytest.raises(asyncpg.UndefinedTableError):
        await upgrade(config, _role(config), tmp_path)
    database = await _open(config)
    assert await database.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = $1", _role(config)) == 0
    await database.close()


def test_two_newest_revisions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_thing.py").write_text(FIRST)
    (tmp_path / "0002_one.py").write_text(SECOND)
    assert newest_revision(tmp_path) == "0002"
    (tmp_path / "0002_two.py").write_text(SECOND.replace('"0002"', '"0002b"'))
    with pytest.raises(ValueError, match="0002, 0002b"):
        newest_revision(tmp_path)


def test_no_revision_at_all_is_nothing_to_do(tmp_path: Path) -> None:
    assert newest_revision(tmp_path) is None


def test_rendering_starts_at_the_revision_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "0001_thing.py").write_text(FIRST)
    (tmp_path / "0002_one.py").write_text(SECOND)
    assert "CREATE TABLE thing" in render(tmp_path, "billing", None)
    later = render(tmp_path, "billing", "0001")
    assert "CREATE TABLE" not in later
    assert "UPDATE billing.alembic_version SET version_num='0002'" in later
