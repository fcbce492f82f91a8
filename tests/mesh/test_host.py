"""Several parts in one process: each under its own name, behind its own guard, without a socket between them."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from qm.billing.v1 import billing_pb2, billing_pb2_grpc

from deploy.local.ports import free_ports
from mesh.call import Call, serving
from mesh.channel import MeshChannel
from mesh.dispatch import Dispatcher
from mesh.errors import Conflict, DeadlineExceeded, Internal, PermissionDenied, Unavailable
from mesh.guard import load_guard
from mesh.telemetry import Telemetry
from tests.mesh.proving import SERVICE, TABLE, EchoRequest, Mesh, Proving, Stub

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "127.0.0.1:1"


def neighbour(service: object = None) -> Dispatcher:
    dispatcher = Dispatcher(load_guard(TABLE), Telemetry())
    dispatcher.add(SERVICE, service or Proving())
    return dispatcher


def stub(mesh: Mesh, neighbours: dict[str, Dispatcher], caller: str = "edge", target: str = NOWHERE) -> Any:
    channel = MeshChannel(target, mesh.identity(caller), "billing", neighbours)
    mesh.stack.push_async_callback(channel.close, 0)
    return Stub(channel)


async def test_a_neighbour_is_called_without_a_connection_and_hears_who_asks_for_what(mesh: Mesh) -> None:
    with serving(Call("public", "req_7", time.monotonic() + 3)):
        answer = await stub(mesh, {"billing": neighbour()}).Echo(EchoRequest(word="hello"))
    assert (answer.word, answer.caller, answer.request_id) == ("hello", "edge", "req_7")
    assert 2000 < answer.remaining_ms <= 3000


async def test_a_neighbour_has_a_guard_too(mesh: Mesh) -> None:
    with pytest.raises(PermissionDenied):
        await stub(mesh, {"billing": neighbour()}, caller="stranger").Echo(EchoRequest())


async def test_what_a_neighbour_raises_is_what_the_wire_would_bring(mesh: Mesh) -> None:
    class Refusing(Proving):
        async def Echo(self, request: Any, _call: Call) -> Any:
            if request.word:
                raise Conflict("taken", reason="TAKEN")
            raise ZeroDivisionError("secret")

    refusing = stub(mesh, {"billing": neighbour(Refusing())})
    with pytest.raises(Conflict):
        await refusing.Echo(EchoRequest(word="again"))
    with pytest.raises(Internal) as bug:
        await refusing.Echo(EchoRequest())
    assert "secret" not in bug.value.message


async def test_a_neighbour_that_does_not_answer_is_given_up_at_the_deadline(mesh: Mesh) -> None:
    cancelled = asyncio.Event()

    class Silent(Proving):
        async def Echo(self, _request: Any, _call: Call) -> Any:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    with pytest.raises(DeadlineExceeded):
        await stub(mesh, {"billing": neighbour(Silent())}).Echo(EchoRequest(), timeout=0.05)
    assert cancelled.is_set()


async def test_a_part_that_does_not_serve_yet_is_asked_over_the_network(mesh: Mesh) -> None:
    neighbours: dict[str, Dispatcher] = {}
    asking = stub(mesh, neighbours)
    with pytest.raises(Unavailable):
        await asking.Echo(EchoRequest(), timeout=0.1)
    neighbours["billing"] = neighbour()
    await asking.Echo(EchoRequest())


def write(mesh: Mesh, name: str, port: int, extra: str = "") -> Path:
    mesh.identity("billing")
    file = mesh.folder / f"{name}.toml"
    file.write_text(f'listen = "127.0.0.1:{port}"\nidentity_folder = "{mesh.folder}"\n{extra}')
    return file


async def host(*parts: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mesh.host", *parts),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "GRPC_VERBOSITY": "NONE"},
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_host_serves_every_part_and_ends_with_all_of_them(mesh: Mesh) -> None:
    ports = free_ports(2)
    files = [write(mesh, f"part{number}", port) for number, port in enumerate(ports)]
    process = await host(*(f"tests.mesh.program={file}" for file in files))
    assert process.stderr is not None
    ready: list[dict[str, Any]] = []
    while len(ready) < len(ports):
        line = json.loads(await process.stderr.readline())
        ready += [line] if line["event"] == "ready" else []
    assert {line["service"] for line in ready} == {"billing"}
    for port in ports:
        billing = billing_pb2_grpc.BillingServiceStub(mesh.channel(port))
        assert (await billing.ListPlans(billing_pb2.ListPlansRequest())).plans[0].display_name == "edge"
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_a_host_with_one_bad_configuration_says_so_and_ends(mesh: Mesh) -> None:
    good, bad = (write(mesh, name, 0, extra) for name, extra in (("good", ""), ("bad", "colour = 1")))
    process = await host(f"tests.mesh.program={good}", f"tests.mesh.program={bad}")
    _, said = await process.communicate()
    assert (process.returncode, b"bad.toml" in said, b"colour" in said) == (2, True, True)
