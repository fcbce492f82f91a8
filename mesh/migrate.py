"""The schema of a service, moved forward by Alembic revisions in `services/<name>/migrations/`.

A revision is a file such as `0001_jobs.py` with `revision`, `down_revision` and `upgrade()`. Alembic renders what is
missing to SQL, which runs in one transaction over asyncpg: no second driver, all or nothing, and one runner at a time
by an advisory lock. A revision therefore changes tables and data by SQL alone; it cannot look at rows in Python.

Alembic and SQLAlchemy take most of a second to import, so they are imported only when there is something to do.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from mesh.config import DatabaseConfig
from mesh.database import Connection, failed_connections_as_unavailable, password_source

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

VERSION_TABLE = "alembic_version"
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=]*=\s*(?:["']([^"']*)["']|None)""", re.MULTILINE)
_LOCK = 0x716D  # "qm": any number that nobody else in the database locks


def migrations_folder(package: str) -> Path:
    """The folder of the revisions of a package such as `services.billing`, found without importing it."""
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        message = f"{package} is not a package"
        raise ModuleNotFoundError(message)
    return Path(locations[0]) / "migrations"


def newest_revision(folder: Path) -> str | None:
    """The one revision that no other builds upon, read from the text of the files; None where there is no file."""
    found: set[str] = set()
    built_upon: set[str] = set()
    for file in folder.glob("[!_]*.py"):
        values = dict(_REVISION.findall(file.read_text()))
        if not values.get("revision"):
            message = f"{file} names no revision"
            raise ValueError(message)
        found.add(values["revision"])
        built_upon.add(values.get("down_revision", ""))
    heads = found - built_upon
    if len(heads) > 1:
        message = f"{folder} has {len(heads)} newest revisions: {', '.join(sorted(heads))}"
        raise ValueError(message)
    return heads.pop() if heads else None


async def current_revision(connection: Connection, schema: str) -> str | None:
    """The revision that the schema is at, or None before the first."""
    table = f"{_quoted(schema)}.{VERSION_TABLE}"
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return None
    revision: str | None = await connection.fetchval(f"SELECT version_num FROM {table}")  # noqa: S608 - quoted
    return revision


async def is_current(connection: Connection, schema: str, folder: Path) -> bool:
    """Whether there is nothing to do; cheap: one or two queries, and no import of Alembic."""
    return await current_revision(connection, schema) == newest_revision(folder)


async def upgrade(config: DatabaseConfig, schema: str, folder: Path) -> bool:
    """Bring the schema to the newest revision as the role of the service; False where it was there already.

    Raises Unavailable when the database is away, and whatever PostgreSQL says about a wrong revision; then nothing of
    it has happened.
    """
    with failed_connections_as_unavailable():
        connection = await asyncpg.connect(
            config.url,
            password=password_source(config.password_file),
            timeout=5,
            server_settings={"search_path": schema},
        )
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                if await is_current(connection, schema, folder):
                    return False
                await connection.execute(render(folder, schema, await current_revision(connection, schema)))
        finally:
            await connection.close(timeout=2)
    return True


def render(folder: Path, schema: str, start: str | None) -> str:
    """The SQL that leads from revision `start` to the newest."""
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(folder), version_locations=[str(folder)])

    def steps(_revision: object, _context: MigrationContext) -> object:
        return script._upgrade_revs("head", start)  # type: ignore[arg-type]  # noqa: SLF001 - as alembic.command does

    sql = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql+asyncpg",
        opts=_options(sql, schema, start, steps),
    )
    with Operations.context(context):
        context.run_migrations()
    return sql.getvalue()


def _options(sql: io.StringIO, schema: str, start: str | None, steps: Callable[..., object]) -> dict[str, object]:
    return {
        "as_sql": True,
        "output_buffer": sql,
        "starting_rev": start,
        "version_table": VERSION_TABLE,
        "version_table_schema": schema,
        "transactional_ddl": False,  # the caller's transaction holds all of it
        "fn": steps,
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
