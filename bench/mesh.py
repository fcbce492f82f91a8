"""What a unary call costs over mTLS: multiplexed against gRPC's own, client and server in processes of their own.

    python -m bench.mesh [--seconds 0.9]

CPU is user + system time of both processes for each call. Both ways run in turn against the same server, several times;
the best round of each counts, since whatever else the machine does only adds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import uvloop
from qm.billing.v1 import billing_pb2, billing_pb2_grpc

from mesh.call import Call
from mesh.channel import MeshChannel
from mesh.guard import load_guard
from mesh.identity import Identity, ensure_authority, ensure_identity
from mesh.server import MeshServer
from mesh.telemetry import Telemetry

CONCURRENCY = (1, 16, 64)
ROUNDS = 3
REQUEST = billing_pb2.ListPlansRequest()
ANSWER = billing_pb2.ListPlansResponse(plans=[billing_pb2.Plan(plan="free", display_name="Free")])
SERVICE = billing_pb2.DESCRIPTOR.services_by_name["BillingService"]

Unary = Callable[[], Awaitable[Any]]


class Plans:
    """Answers every RPC of billing with the same small message."""

    def __init__(self) -> None:
        """Take every method."""
        vars(self).update({method.name: self._answer for method in SERVICE.methods})

    async def _answer(self, _request: object, _call: Call) -> billing_pb2.ListPlansResponse:
        return ANSWER


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def serve(folder: Path, pipe: Connection) -> None:
    """Be the server: send the port, then the CPU time whenever it is asked for, until the pipe says stop."""

    async def main() -> None:
        server = MeshServer("127.0.0.1:0", Identity.at(folder, "billing"), load_guard(), Telemetry())
        server.add(SERVICE, Plans())
        await server.start()
        pipe.send(server.port)
        stopped = asyncio.Event()

        def asked() -> None:
            if pipe.recv():
                pipe.send(cpu_seconds())
            else:
                stopped.set()

        asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
        await stopped.wait()
        await server.drain(0)

    uvloop.run(main())


async def measure(call: Unary, concurrency: int, seconds: float, server: Connection) -> tuple[float, float]:
    """(CPU µs a call, calls a second) of `concurrency` callers that call without a pause."""
    calls = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            await call()
            calls += 1

    async def cpu() -> float:
        server.send(True)  # noqa: FBT003 - the word of this pipe for "tell your CPU time"
        return cpu_seconds() + await asyncio.to_thread(server.recv)

    before, started = await cpu(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    elapsed = time.perf_counter() - started
    return (await cpu() - before) / calls * 1e6, calls / elapsed


async def compare(folder: Path, port: int, server: Connection, seconds: float) -> None:
    """Measure both ways and print them."""
    identity = Identity.at(folder, "edge")
    target = f"127.0.0.1:{port}"
    async with (
        MeshChannel(target, identity, "billing") as channel,
        grpc.aio.secure_channel(target, identity.channel_credentials()) as plain,
    ):
        multiplexed, native = billing_pb2_grpc.BillingServiceStub(channel), billing_pb2_grpc.BillingServiceStub(plain)
        ways: dict[str, Unary] = {
            "multiplexed": lambda: multiplexed.ListPlans(REQUEST),
            "native": lambda: native.ListPlans(REQUEST, timeout=5),
        }
        for call in ways.values():
            await asyncio.gather(*(call() for _ in range(200)))
        print(f"{'callers':>7}  {'multiplexed':>24}  {'native grpc.aio':>24}  {'CPU, native / multiplexed':>25}")
        for concurrency in CONCURRENCY:
            rounds = [
                {name: await measure(call, concurrency, seconds, server) for name, call in ways.items()}
                for _ in range(ROUNDS)
            ]
            best = {name: min(round_[name] for round_ in rounds) for name in ways}
            cells = "  ".join(f"{cpu:9.1f} µs {rate:8.0f}/s" for cpu, rate in best.values())
            print(f"{concurrency:7}  {cells}  {best['native'][0] / best['multiplexed'][0]:25.1f}", flush=True)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.9, help="length of each of the 18 measurements")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = ensure_authority(folder)
        for service in ("billing", "edge"):
            ensure_identity(authority, service)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, theirs), daemon=True)
        process.start()
        uvloop.run(compare(folder, ours.recv(), ours, seconds))
        ours.send(False)  # noqa: FBT003 - the word of this pipe for "stop"
        process.join()
    return process.exitcode or 0


if __name__ == "__main__":
    sys.exit(main())
