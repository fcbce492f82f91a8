"""What a person at the terminal meets: clear words when it cannot start, and nothing left behind."""

from __future__ import annotations

import asyncio
import io
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.bootstrap import Credentials, QmummaKeys, read_credentials, to_json
from deploy.local.configuration import settings, to_toml
from deploy.local.console import Console
from deploy.local.layout import Layout, assign_ports
from deploy.local.lock import FolderLock, holder
from deploy.local.mesh import LocalMesh
from deploy.local.nats import binary
from deploy.local.ports import free_ports, require_free
from deploy.local.postgres import Postgres
from deploy.local.problem import StartError
from deploy.local.programs import SCHEMA_OWNERS, Program, every_program
from mesh.streams import RIGHTS
from services.execution.engines.memory import available_memory

PROGRAMS = every_program(workers=2)


def _layout(state: Path) -> Layout:
    return Layout(state, assign_ports(PROGRAMS, port=8080, base_port=7100))


def test_every_process_has_a_port_of_its_own() -> None:
    fixed = assign_ports(PROGRAMS, port=8080, base_port=7100)
    assert fixed["edge"] == 8080
    assert fixed["billing"] == 7111
    assert len(set(fixed.values())) == len(fixed) == len(PROGRAMS) + 2
    free = assign_ports(PROGRAMS, port=0, base_port=0)
    assert len(set(free.values())) == len(free)
    assert free.keys() == fixed.keys()


def test_every_process_that_uses_the_queue_has_rights_there() -> None:
    assert {program.service for program in PROGRAMS if program.events} <= RIGHTS.keys()


def test_peers_are_processes_and_calls_have_no_cycle() -> None:
    by_service = {program.service: set[str]() for program in PROGRAMS}
    for program in PROGRAMS:
        by_service[program.service] |= set(program.peers)
    done: set[str] = set()
    while len(done) < len(by_service):
        ready = {service for service, peers in by_service.items() if service not in done and peers <= done}
        assert ready, f"a cycle among {by_service.keys() - done}"
        done |= ready


def test_callers_stop_before_those_they_call() -> None:
    tiers = {program.service: program.tier for program in PROGRAMS if not program.name.startswith("worker")}
    for program in PROGRAMS:
        assert all(tiers[peer] < program.tier for peer in program.peers)


def test_a_process_is_told_what_it_needs_and_no_secret(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    postgres = Postgres(tmp_path / "postgres", 7100, tmp_path / "log")
    for program in PROGRAMS:
        told = settings(program, layout, postgres, "tls://127.0.0.1:7101")
        assert told["listen"] == layout.address(program.name)
        assert ("database" in told) == (program.service in SCHEMA_OWNERS)
        assert tomllib.loads(to_toml(told)) == told
    pepper = layout.secrets / "pepper"
    assert len(pepper.read_text().strip()) >= 32
    assert pepper.read_text().strip() not in to_toml(settings(PROGRAMS[0], layout, postgres, "tls://x:1"))


def test_the_jobs_of_all_workers_together_fit_the_machine(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    postgres = Postgres(tmp_path / "postgres", 7100, tmp_path / "log")
    told = [settings(program, layout, postgres, "tls://127.0.0.1:7101") for program in PROGRAMS]
    shares = [int(str(each["memory_bytes"])) for each in told if "memory_bytes" in each]
    assert len(shares) == 2
    assert 0 < sum(shares) <= 0.75 * available_memory()


@hypothesis.settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_any_text_survives_as_toml(values: dict[str, str]) -> None:
    assert tomllib.loads(to_toml({**values, "table": values})) == {**values, "table": values}


def test_busy_ports_are_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"port {port} \(edge\).*make up PORT=.*--port"):
            require_free({"edge": port, "billing": free_ports(1)[0]})


def test_a_number_that_is_no_port_is_refused_in_words() -> None:
    for option, number in (("--port", "99999"), ("--base-port", "65536"), ("--port", "-1"), ("--port", "http")):
        up = _run("up", f"{option}={number}")
        assert up.returncode == 2
        assert f"argument {option}: {number} is not a port, 0 to 65535" in up.stderr
    with pytest.raises(StartError, match=r"no port 65546 \(billing\).*BASE_PORT"):
        require_free({"billing": 65546})


def test_a_second_supervisor_is_told_who_runs(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    assert holder(tmp_path) == os.getpid()
    with pytest.raises(StartError, match=rf"process {os.getpid()}.*make down.*--state"):
        FolderLock.take(tmp_path)
    lock.release()
    assert holder(tmp_path) is None
    FolderLock.take(tmp_path).release()


async def test_a_full_disk_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's own
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(StartError, match="is full: 0 MiB are free"):
        await LocalMesh(tmp_path, port=0, base_port=0).start()
    assert not any(os.scandir(tmp_path))


async def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be made: Not a directory"):
        await LocalMesh(tmp_path / "file" / "state", port=0, base_port=0).start()


def test_a_missing_nats_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, path: None)  # noqa: ARG005
    with pytest.raises(StartError, match="make setup"):
        binary()


def test_unreadable_credentials_count_as_none(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    assert read_credentials(file) is None
    file.write_text("{")
    assert read_credentials(file) is None
    credentials = Credentials("http://127.0.0.1:8080", QmummaKeys(live="qm_live_x", test="qm_test_x"))
    file.write_text(to_json(credentials))
    assert read_credentials(file) == credentials


def test_steps_are_plain_text_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    console = Console(stream)
    with console.step("first"):
        pass
    with pytest.raises(RuntimeError), console.step("second"):
        raise RuntimeError
    first, second = stream.getvalue().splitlines()
    assert first.startswith("  ✓ first ")
    assert first.endswith(" s")
    assert second == "  ✗ second"
    assert "\033" not in stream.getvalue()


async def test_a_process_that_cannot_start_stops_everything(scratch: Path) -> None:
    bad = Program("edge", "no_such_module", "edge", 15)
    mesh = LocalMesh(scratch / "bad", port=0, base_port=0, programs=[bad])
    with pytest.raises(StartError, match=r"edge ended 3 times(.|\n)*No module named no_such_module"):
        await mesh.start()
    require_free(mesh.layout.ports)
    assert holder(scratch / "bad") is None


async def test_whatever_is_killed_comes_back_with_its_data_and_leaves_nothing(scratch: Path) -> None:
    code = f"""
import asyncio, pathlib
from deploy.local.mesh import LocalMesh
from deploy.local.programs import SERVICES
async def main():
    billing = [program for program in SERVICES if program.name == "billing"]
    async with LocalMesh(pathlib.Path({str(scratch / "killed")!r}), port=0, base_port=0, programs=billing) as mesh:
        print(*(mesh.pid(name) for name in ("postgres", "nats", "billing")), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    children = [int(pid) for pid in (await asyncio.to_thread(supervisor.stdout.readline)).split()]
    assert len(children) == 3
    ends = [os.pidfd_open(pid) for pid in children]
    supervisor.kill()
    for end in ends:
        readable, _, _ = await asyncio.to_thread(select.select, [end], [], [], 20)
        assert readable
        os.close(end)
    supervisor.wait()
    supervisor.stdout.close()
    billing = [program for program in PROGRAMS if program.name == "billing"]
    async with LocalMesh(scratch / "killed", port=0, base_port=0, programs=billing) as mesh:
        identities = mesh.renew_identities()
        assert identities.keys() == {"nats", "operator", "billing"}
        nats = mesh.kill("nats", signal.SIGHUP)
        await mesh.ready("nats")
        assert mesh.pid("nats") == nats
        assert mesh.pid("postgres") not in children
        old = mesh.kill("billing")
        mesh.kill("postgres")
        await asyncio.gather(mesh.ready("billing"), mesh.ready("postgres"))
        assert mesh.pid("billing") not in (None, old)
    assert mesh.children == {}
    require_free(mesh.layout.ports)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_command_line_says_whether_something_runs(tmp_path: Path) -> None:
    status = _run("status", "--state", str(tmp_path))
    assert (status.returncode, "Nothing runs" in status.stdout) == (3, True)
    down = _run("down", "--state", str(tmp_path))
    assert (down.returncode, "Nothing runs" in down.stdout) == (0, True)
    lock = FolderLock.take(tmp_path)
    up = _run("up", "--state", str(tmp_path), "--port", "0", "--base-port", "0")
    assert up.returncode == 1
    assert f"process {os.getpid()}" in up.stderr
    assert _run("status", "--state", str(tmp_path)).returncode == 0
    lock.release()


def test_a_signal_during_the_start_leaves_nothing_behind(scratch: Path) -> None:
    command = [sys.executable, "-m", "deploy.local", "up", "--state", str(scratch / "cut"), "--port", "0"]
    supervisor = subprocess.Popen([*command, "--base-port", "0"], stderr=subprocess.PIPE, text=True)
    assert supervisor.stderr is not None
    for line in supervisor.stderr:
        if "postgres" in line or "nats" in line:
            break
    supervisor.send_signal(signal.SIGINT)
    rest = supervisor.stderr.read()
    assert supervisor.wait(60) == 130
    assert "Stopped before everything was up" in rest
    assert holder(scratch / "cut") is None
    ours = subprocess.run(["pgrep", "-f", str(scratch / "cut")], check=False, capture_output=True, text=True)
    assert ours.stdout == ""
    supervisor.stderr.close()
