"""The data survives interrupted starts, orphans and stale files, and nobody gets in without a password."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import free_ports
from deploy.local.postgres import SUPERUSER, Postgres, binary, let_traverse
from deploy.local.problem import StartError
from deploy.local.process import Child, child_setup
from tests.conftest import RunningPostgres


def _ignore_crash(_name: str, _status: int, _pause: float) -> None:
    """Nothing to do."""


@pytest.fixture(scope="module")
def server(scratch: Path) -> Postgres:
    """A server whose first attempt to make its data was cut off."""
    server = Postgres(scratch / "own", free_ports(1)[0], scratch / "own.log")
    (server.folder / "data.new" / "base").mkdir(parents=True)
    (server.folder / "data.new" / "PG_VERSION").write_text("18")
    server.initialise(durable=False)
    return server


def test_an_interrupted_first_start_is_begun_anew(server: Postgres) -> None:
    assert server.exists()
    assert not (server.folder / "data.new").exists()
    before = (server.data / "global" / "pg_control").stat().st_mtime_ns
    server.initialise()
    assert (server.data / "global" / "pg_control").stat().st_mtime_ns == before


def test_passwords_are_readable_by_their_owner_alone(server: Postgres) -> None:
    file = server.secrets / f"{SUPERUSER}.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.secrets.stat().st_mode) == 0o700
    assert not (server.folder / "superuser.password").exists()


async def test_a_server_that_outlived_its_supervisor_is_ended_first(server: Postgres) -> None:
    command = server.command()
    setup = child_setup(command.user, signal.SIGQUIT)
    orphan = subprocess.Popen(command.arguments, cwd=command.folder, preexec_fn=setup)  # noqa: PLW1509
    while not await server.is_ready():
        await asyncio.sleep(0.02)
    child = Child(command, server.is_ready, on_crash=_ignore_crash, before_start=server.clear_orphan)
    reaped = asyncio.create_task(asyncio.to_thread(orphan.wait))
    child.start()
    assert await reaped == 0
    await child.ready(20)
    assert child.pid != orphan.pid
    await child.stop()


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(server: Postgres) -> None:
    pid_file = server.data / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.data}\n")
    await server.clear_orphan()
    assert not pid_file.exists()
    await server.clear_orphan()


async def test_a_pid_file_that_is_cut_off_stays_for_postgres_to_judge(server: Postgres) -> None:
    pid_file = server.data / "postmaster.pid"
    pid_file.write_text("")
    await server.clear_orphan()
    pid_file.unlink()


async def test_a_failed_initdb_is_reported_with_its_own_words(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Postgres(scratch / "broken", 1, scratch / "broken.log")
    monkeypatch.setattr("deploy.local.postgres.SUPERUSER", "pg_reserved")
    with pytest.raises(StartError, match=r"initdb ended with 1(.|\n)*pg_reserved"):
        server.initialise()
    assert not server.exists()


async def test_the_superuser_needs_its_password(postgres: RunningPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.server.config(SUPERUSER).url, password="guess")


def test_closed_folders_above_become_passable_but_not_listable(tmp_path: Path) -> None:
    (tmp_path / "home" / "state").mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    let_traverse(tmp_path / "home" / "state" / "data")
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o701


def test_a_missing_wheel_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StartError, match="make setup"):
        binary("postgres")
