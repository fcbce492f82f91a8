"""A process starts by its configuration, says what is wrong with it, drains at a signal, and may be killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1 import billing_pb2_grpc

from deploy.local.ports import free_ports
from mesh.channel import MeshChannel
from mesh.config import ConfigError, MeshConfig
from mesh.errors import Unavailable
from mesh.process import Part, Process, run
from tests.mesh.program import wire

if TYPE_CHECKING:
    from tests.mesh.proving import Mesh

ROOT = Path(__file__).resolve().parents[2]
HOLD = pb.GetHoldRequest(team_id="01890a5d-ac96-774b-bcce-b302099a8057", job_id="01890a5d-ac96-774b-bcce-b302099a8057")


class Running:
    """The program in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        """The first log line of that event; whatever was logged before it is in `lines`."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(self.lines)


def configure(mesh: Mesh, port: int, extra: str = "") -> Path:
    mesh.identity("billing")
    file = mesh.folder / "billing.toml"
    file.write_text(f'listen = "127.0.0.1:{port}"\nidentity_folder = "{mesh.folder}"\n{extra}')
    return file


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.mesh.program", "--config", str(config)),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "GRPC_VERBOSITY": "NONE"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def billing(mesh: Mesh, port: int) -> tuple[Any, MeshChannel]:
    channel = mesh.channel(port)
    return billing_pb2_grpc.BillingServiceStub(channel), channel


async def test_a_process_serves_and_drains_at_sigterm(mesh: Mesh) -> None:
    port, metrics = free_ports(2)
    config = configure(mesh, port, f'[telemetry]\nmetrics_listen = "127.0.0.1:{metrics}"\n')
    async with started(config) as running:
        ready = await running.until("ready")
        assert (ready["service"], ready["level"], ready["listen"]) == ("billing", "info", f"127.0.0.1:{port}")
        stub, _ = billing(mesh, port)
        assert (await stub.ListPlans(pb.ListPlansRequest())).plans[0].display_name == "edge"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics").read())
        assert b'rpc_server_duration_seconds_count{method="/qm.billing.v1.BillingService/ListPlans"} 1.0' in page
        in_flight = asyncio.create_task(stub.GetHold(HOLD))
        await running.until("held")
        running.process.send_signal(signal.SIGTERM)
        assert await in_flight == pb.GetHoldResponse()
        assert await asyncio.wait_for(running.process.wait(), 5) == 0


async def test_a_killed_server_is_missed_at_once_and_found_again_by_the_same_call(mesh: Mesh) -> None:
    (port,) = free_ports(1)
    config = configure(mesh, port)
    async with started(config) as first:
        await first.until("ready")
        stub, _ = billing(mesh, port)
        patient = asyncio.create_task(stub.GetHold(HOLD, timeout=20))
        await first.until("held")
        killed = time.monotonic()
        first.process.kill()
        with pytest.raises(Unavailable) as missed:
            await stub.ListPlans(pb.ListPlansRequest(), timeout=0.4)
        assert missed.value.reason == "PEER_UNAVAILABLE"
        assert time.monotonic() - killed < 1.5
        await first.process.wait()
    async with started(config) as second:
        await second.until("ready")
        found = time.monotonic()
        await stub.ListPlans(pb.ListPlansRequest())
        assert time.monotonic() - found < 2
        await second.until("held")
        second.process.send_signal(signal.SIGTERM)
        assert await patient == pb.GetHoldResponse()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("colour = 1", ["billing.toml", "colour"]),
        ('[telemetry]\nlog_level = "loud"', ["billing.toml", "loud", "telemetry"]),
        ('[peers]\nrouting = "nowhere"', ["billing.toml", "peers"]),
    ],
)
def test_a_configuration_that_cannot_work_is_explained_in_a_line(
    mesh: Mesh, line: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["billing", "--config", str(configure(mesh, 0, line))])
    with pytest.raises(SystemExit) as ended:
        run(Part("billing", MeshConfig, wire))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("billing: ")
    assert said.count("\n") == 1
    assert all(word in said for word in words), said


async def test_a_port_that_is_taken_is_explained_in_a_line(mesh: Mesh) -> None:
    server = await mesh.serve()
    async with started(configure(mesh, server.port)) as running:
        _, said = await running.process.communicate()
    assert running.process.returncode == 2
    assert said.decode().count("\n") == 1
    assert said.decode().startswith(f"billing: cannot listen on 127.0.0.1:{server.port}: the port is taken")


async def test_a_missing_certificate_is_named(mesh: Mesh) -> None:
    config = configure(mesh, 0)
    (mesh.folder / "billing.crt").unlink()
    async with started(config) as running:
        _, said = await running.process.communicate()
    assert running.process.returncode == 2
    assert "billing.crt" in said.decode()


def in_process(mesh: Mesh, **settings: Any) -> Process[MeshConfig]:
    mesh.identity("billing")
    return Process("billing", MeshConfig(listen="127.0.0.1:0", identity_folder=mesh.folder, **settings))


async def test_closers_run_in_reverse_after_the_drain(mesh: Mesh) -> None:
    process = in_process(mesh)
    order: list[str] = []

    def note(word: str) -> Callable[[], Awaitable[None]]:
        async def closer() -> None:
            order.append(word)

        return closer

    async def wire(process: Process[MeshConfig], _config: MeshConfig) -> None:
        process.on_close(note("first"))
        process.on_close(note("second"))
        process.stopping.set()

    await process.serve(wire)
    assert order == ["second", "first"]
    assert not process.failed


async def test_background_work_that_fails_stops_the_process_as_failed(
    mesh: Mesh, log_lines: list[dict[str, Any]]
) -> None:
    process = in_process(mesh)

    async def fail() -> None:
        raise ZeroDivisionError

    async def wire(process: Process[MeshConfig], _config: MeshConfig) -> None:
        process.background(fail(), "relay")

    await asyncio.wait_for(process.serve(wire), 5)
    assert process.failed
    assert "background_failed" in [line["event"] for line in log_lines]


async def test_background_work_ends_with_the_process(mesh: Mesh) -> None:
    process = in_process(mesh)
    ended = asyncio.Event()

    async def work() -> None:
        process.stopping.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def wire(process: Process[MeshConfig], _config: MeshConfig) -> None:
        process.background(work(), "relay")

    await asyncio.wait_for(process.serve(wire), 5)
    assert ended.is_set()
    assert not process.failed


async def test_a_stop_while_the_wiring_waits_is_heard(mesh: Mesh) -> None:
    process = in_process(mesh)
    closed = asyncio.Event()

    async def wire(process: Process[MeshConfig], _config: MeshConfig) -> None:
        async def close() -> None:
            closed.set()

        process.on_close(close)
        process.stopping.set()
        await asyncio.Event().wait()

    await asyncio.wait_for(process.serve(wire), 5)
    assert closed.is_set()


async def test_what_is_not_configured_is_named(mesh: Mesh) -> None:
    process = in_process(mesh)
    with pytest.raises(ConfigError, match=r"billing needs \[database\]"):
        await process.database()
    with pytest.raises(ConfigError, match=r"billing needs \[events\]"):
        await process.events()
    with pytest.raises(ConfigError, match="billing needs the address of routing"):
        process.channel("routing")
