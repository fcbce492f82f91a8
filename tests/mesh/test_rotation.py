"""Certificates, authorities and connections are renewed without a failed call."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.local.authority import Rotation, Step
from mesh.call import Call
from mesh.identity import ensure_authority, ensure_identity
from tests.mesh.proving import EchoRequest, Mesh, Number, Proving, Stub, until

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@contextmanager
def load(stub: Any, callers: int = 8) -> Iterator[Callable[[], Any]]:
    """Callers without a pause; the result is how many calls each made, or the first error."""
    done = asyncio.Event()

    async def caller(number: int) -> int:
        calls = 0
        while not done.is_set():
            assert (await stub.Echo(EchoRequest(word=str(number)))).word == str(number)
            calls += 1
        return calls

    tasks = [asyncio.create_task(caller(number)) for number in range(callers)]

    async def stop() -> list[int]:
        done.set()
        return await asyncio.gather(*tasks)

    yield stop
    for task in tasks:
        task.cancel()


async def renewed(channel: Any, old: object) -> None:
    """Wait until the channel has left its old connection."""
    await until(lambda: channel._connection is not old)


async def test_certificates_and_then_the_authority_change_under_load_without_a_failed_call(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.channel.RENEW_SECONDS", 0.05)
    identity, server = mesh.identity("edge"), await mesh.serve()
    old_authority = identity.authority()
    channel = mesh.channel(server.port)
    with load(Stub(channel)) as stop:
        await channel.channel_ready()
        for step in rotation(mesh):
            old = channel._connection
            step()
            await renewed(channel, old)
            await Stub(channel).Echo(EchoRequest())  # type: ignore[attr-defined]
        assert min(await stop()) > 0
    assert identity.authority().count(b"BEGIN") == 1
    assert identity.authority() != old_authority
    assert not (mesh.folder / "next").exists()


def rotation(mesh: Mesh) -> Iterator[Callable[[], None]]:
    """New leaves; then the steps of a rotation of the authority."""
    names = ("billing", "edge")

    def leaves() -> None:
        for name in names:
            ensure_identity(mesh.authority, name, hosts=["another-host"])

    yield leaves
    rotation = Rotation(mesh.folder)
    for _ in Step:

        def step() -> None:
            rotation.take()
            authority = ensure_authority(mesh.folder)
            for name in names:
                ensure_identity(authority, name)

        yield step


async def test_an_open_stream_survives_the_renewal_of_its_certificate(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.channel.RENEW_SECONDS", 0.05)
    go = asyncio.Event()

    class Watched(Proving):
        async def Count(self, _request: Any, _call: Call) -> AsyncIterator[Any]:
            yield Number(number=1)
            await go.wait()
            yield Number(number=2)

    server = await mesh.serve(Watched())
    channel = mesh.channel(server.port)
    stub: Any = Stub(channel)
    stream = aiter(stub.Count(Number(), timeout=20))
    assert (await anext(stream)).number == 1
    old = channel._connection
    ensure_identity(mesh.authority, "edge", hosts=["another-host"])
    await renewed(channel, old)
    go.set()
    assert (await anext(stream)).number == 2


async def test_a_connection_is_replaced_before_the_server_ends_it(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.channel.RENEW_SECONDS", 0.05)
    monkeypatch.setattr("mesh.channel.RENEW_AGE", 0.2)
    channel = mesh.channel((await mesh.serve()).port)
    with load(Stub(channel)) as stop:
        await channel.channel_ready()
        for _ in range(3):
            await renewed(channel, channel._connection)
        assert min(await stop()) > 0


async def test_a_broken_connection_is_made_anew_with_the_certificates_of_the_moment(mesh: Mesh) -> None:
    first = await mesh.serve()
    channel = mesh.channel(first.port)
    stub: Any = Stub(channel)
    await stub.Echo(EchoRequest())
    old = channel._connection
    await first.drain(0)
    ensure_identity(mesh.authority, "edge", hosts=["another-host"])
    await mesh.serve(port=first.port)
    await stub.Echo(EchoRequest())
    assert channel._connection is not old


async def test_a_renewal_that_cannot_be_read_is_logged_and_tried_again(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, log_lines: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr("mesh.channel.RENEW_SECONDS", 0.02)
    identity = mesh.identity("edge")
    channel = mesh.channel((await mesh.serve()).port)
    stub: Any = Stub(channel)
    await stub.Echo(EchoRequest())
    old = channel._connection
    away = identity.certificate_file.rename(mesh.folder / "away")
    await until(lambda: bool(log_lines))
    assert log_lines[0]["event"] == "renewal_failed"
    away.rename(identity.certificate_file)
    ensure_identity(mesh.authority, "edge", hosts=["another-host"])
    await renewed(channel, old)
    assert (await stub.Echo(EchoRequest(word="still"))).word == "still"
