"""Engine children: real processes that are killed, starved, stopped and lie, and a parent that goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from mesh.errors import InvalidArgument, ResourceExhausted
from services.execution import children, task
from services.execution.child import Child, TaskStream, Zygote
from services.execution.children import Children, EngineFault
from services.execution.engines import registry
from tests.mesh.executing import BELL, BELL_FEATURES, BELL_OUTCOME, CIRCUIT, ENGINE_BYTES

LAYERS = "".join(f"rx(0.{layer + 1}) q; cz q[0],q[1];" for layer in range(60))
SLOW = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[23]; creg c[23]; {LAYERS} measure q -> c;'
"""Takes about a minute."""


def bell(qasm: str = BELL, **changes: Any) -> task.Run:
    fields = {"shots": 1024, "seed": 1, "engine": "aer", "method": "statevector"} | changes
    return task.Run(CIRCUIT, msgspec.json.encode({"qasm": qasm}), **fields)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@pytest_asyncio.fixture(scope="module")
async def engines() -> AsyncIterator[Children]:
    engines = Children(2, memory_bytes=ENGINE_BYTES)
    await engines.start()
    yield engines
    await engines.close()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zygote_pid(engines: Children) -> int:
    assert engines._zygote is not None
    return engines._zygote._process.pid


def idle(engines: Children) -> deque[Child]:
    found: deque[Child] = engines._idle._queue  # type: ignore[attr-defined]
    return found


def pid_of(child: Child) -> int:
    information = Path(f"/proc/self/fdinfo/{child._pidfd}").read_text()
    return next(int(line.split()[1]) for line in information.splitlines() if line.startswith("Pid:"))


async def busy(engines: Children, request: task.Run) -> tuple[asyncio.Task[task.Outcome], int]:
    """A call that is being computed, and the process that does."""
    running = asyncio.Event()
    call = asyncio.create_task(engines.call(request, timeout=60, on_progress=lambda *_: running.set()))
    await running.wait()
    async with asyncio.timeout(10):  # a child that replaces an earlier one may not be in its place yet
        while len(at_work := set(children_of(zygote_pid(engines))) - {pid_of(child) for child in idle(engines)}) != 1:
            await asyncio.sleep(0.01)
    return call, at_work.pop()


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


async def works(engines: Children) -> None:
    """Every place of the pool is filled and answers."""
    async with asyncio.timeout(20):
        while len(idle(engines)) < engines.count:
            await asyncio.sleep(0.01)
    outcomes = await asyncio.gather(*(engines.call(bell(), timeout=10) for _ in range(engines.count)))
    assert [sum(outcome.result["counts"].values()) for outcome in outcomes] == [1024] * engines.count


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
async def test_a_child_that_crashes_is_a_fault_of_its_engine_alone(engines: Children, number: signal.Signals):
    call, pid = await busy(engines, bell(SLOW))
    neighbour = asyncio.create_task(engines.call(bell(), timeout=10))
    os.kill(pid, number)
    with pytest.raises(EngineFault, match=f"ended by {number.name}"):
        await call
    assert sum((await neighbour).result["counts"].values()) == 1024
    await works(engines)


async def test_a_kill_for_the_machines_memory_is_told_apart(engines: Children, monkeypatch: pytest.MonkeyPatch):
    call, pid = await busy(engines, bell(SLOW))
    monkeypatch.setattr(children, "out_of_memory_kills", lambda: engines._kills + 1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineFault, match="because the machine ran out of memory"):
        await call
    await works(engines)


async def test_the_kernel_would_rather_kill_a_child_than_anything_else(engines: Children):
    for pid in children_of(zygote_pid(engines)):
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"


async def test_a_run_that_needs_more_memory_than_it_may_have_fails_alone(engines: Children):
    wide = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[26]; creg c[26]; h q; measure q -> c;'
    greedy = asyncio.create_task(engines.call(bell(wide, memory_bytes=256 * 2**20), timeout=30))
    neighbour = asyncio.create_task(engines.call(bell(), timeout=10))
    with pytest.raises(ResourceExhausted, match="more than its limit of 256 MiB") as refusal:
        await greedy
    assert refusal.value.reason == "MEMORY_LIMIT"
    assert sum((await neighbour).result["counts"].values()) == 1024
    await works(engines)


async def test_a_limit_of_memory_ends_with_its_run(engines: Children):
    for _ in range(engines.count):
        await engines.call(bell(memory_bytes=256 * 2**20), timeout=10)
    wide = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[24]; creg c[24]; x q[3]; measure q -> c;'
    for _ in range(engines.count):
        assert len((await engines.call(bell(wide), timeout=30)).result["counts"]) == 1


async def test_runs_that_do_not_fit_beside_each_other_wait(engines: Children):
    room = engines._room
    call, _ = await busy(engines, bell(SLOW, memory_bytes=room.total * 2 // 3))
    waiting = asyncio.create_task(engines.call(bell(memory_bytes=room.total // 2), timeout=10))
    assert sum((await engines.call(bell(), timeout=10)).result["counts"].values()) == 1024
    assert not waiting.done()
    call.cancel()
    assert sum((await waiting).result["counts"].values()) == 1024
    await works(engines)


async def test_a_run_that_never_fits_is_refused_at_once(engines: Children):
    with pytest.raises(ResourceExhausted, match="for all jobs") as refusal:
        await engines.call(bell(memory_bytes=engines._room.total + 1), timeout=10)
    assert refusal.value.reason == "MEMORY_LIMIT"


@pytest.mark.parametrize("name", registry.NAMED)
async def test_an_engine_that_runs_by_its_name_is_imported_by_the_child_that_runs_it(engines: Children, name: str):
    wide = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[14]; creg c[14]; h q[3]; cx q[3],q[9]; measure q -> c;'
    for qasm in (BELL, wide):
        run = bell(qasm, engine=name, memory_bytes=engines.allowance(64 * 2**14))
        outcome = await engines.call(run, timeout=60)
        assert len(outcome.result["counts"]) == 2
        assert name in outcome.engine
    await works(engines)


@pytest.mark.parametrize(
    ("predicted", "allowed"), [(0, 5), (1, 2), (2, 5), (100, 10)], ids=["unknown", "small", "large", "too large"]
)
def test_a_run_may_take_twice_what_is_predicted_and_some(predicted: int, allowed: int):
    gib = 1024**3
    engines = Children(4, memory_bytes=10 * gib, total_bytes=20 * gib)
    assert engines.allowance(predicted * gib if predicted != 1 else gib // 2) == allowed * gib


async def test_a_program_that_takes_too_long_is_stopped(engines: Children):
    with pytest.raises(ResourceExhausted) as stop:
        await engines.call(bell(SLOW), timeout=0.3)
    assert stop.value.reason == "TIME_LIMIT"
    await works(engines)


async def test_a_cancelled_call_ends_its_process_within_a_second_every_time(engines: Children):
    for _ in range(10):  # busy in C++, which hears no signal of Python's
        call, pid = await busy(engines, bell(SLOW))
        started = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await gone(pid)
        assert time.monotonic() - started < 1
        await works(engines)


async def test_a_fault_of_the_program_leaves_the_child_alive(engines: Children):
    before = children_of(zygote_pid(engines))
    with pytest.raises(InvalidArgument) as refusal:
        await engines.call(bell("OPENQASM 2.0; qreg q[1]; h q[1;"), timeout=10)
    assert (refusal.value.reason, refusal.value.field) == ("SYNTAX_ERROR", "parameters.qasm")
    assert children_of(zygote_pid(engines)) == before


async def test_a_zygote_that_is_killed_before_it_reads_leaves_nothing_behind():
    loop, faults = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    zygote = Zygote(2**32, engines=False)
    zygote.listen()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        zygote.fork(theirs)
        zygote.kill()
        for _ in range(3):
            await asyncio.sleep(0)
    assert faults == []
    assert not loop.remove_reader(zygote._control.fileno()), "nobody listens any more"
    zygote.close()


async def test_a_killed_zygote_costs_no_call_that_comes_after(engines: Children):
    killed = zygote_pid(engines)
    children = children_of(killed)
    os.kill(killed, signal.SIGKILL)
    await asyncio.gather(*map(gone, children))
    await works(engines)
    assert zygote_pid(engines) != killed


async def test_a_state_vector_beyond_the_memory_is_refused():
    engines = Children(1, memory_bytes=3 * 1024**3)
    await engines.start()
    wide = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[30]; creg c[30]; h q; measure q -> c;'
    with pytest.raises(InvalidArgument) as refusal:
        await engines.call(bell(wide), timeout=30)
    assert refusal.value.reason == "OUT_OF_MEMORY"
    await works(engines)
    (child,) = children_of(zygote_pid(engines))
    limits = Path(f"/proc/{child}/limits").read_text()
    assert str(3 * 1024**3) in next(line for line in limits.splitlines() if line.startswith("Max address space"))
    zygote = zygote_pid(engines)
    await engines.close()
    await gone(child)
    assert not Path(f"/proc/{zygote}").exists()


@pytest.fixture
def impostor(
    engines: Children, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bytes], subprocess.Popen[bytes]]]:
    """Puts a child at the head of the pool that answers the next request with bytes of our choice."""
    stack = ExitStack()

    async def not_needed() -> None:
        """Replace no impostor: the pool is complete without it."""

    monkeypatch.setattr(engines, "_replace", not_needed)

    def put(answer: bytes) -> subprocess.Popen[bytes]:
        ours, theirs = socket.socketpair()
        process = stack.enter_context(subprocess.Popen(["/bin/sleep", "60"]))
        there = stack.enter_context(Connection(theirs.detach()))

        def lie() -> None:
            with suppress(EOFError, OSError):
                there.recv_bytes()
                left = memoryview(answer)
                while left:
                    left = left[os.write(there.fileno(), left) :]

        liar = threading.Thread(target=lie)
        liar.start()
        stack.callback(liar.join)
        stack.callback(process.kill)
        idle(engines).appendleft(Child(TaskStream(ours), process.pid, unheard()))
        return process

    with stack:
        yield put


def unheard() -> asyncio.Future[int]:
    """The end of a child that no zygote tells of."""
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    end.cancel()
    return end


def framed(payload: bytes) -> bytes:
    return struct.pack("!i", len(payload)) + payload


def packed(message: Any) -> bytes:
    return framed(msgspec.msgpack.encode(message))


def like(message: Any, **lies: Any) -> bytes:
    return packed(msgspec.to_builtins(message) | lies)


@pytest.mark.parametrize(
    "answer",
    [
        framed(b"\xc1"),
        framed(b""),
        framed(b"\xa3\xff\xff\xff"),
        framed(b"\x91" * 100_000 + b"\x00"),
        packed([1, 2]),
        packed({"type": "shell", "command": "rm"}),
        packed(task.Ready(1)),
        packed(task.Description(BELL_FEATURES)),
        like(BELL_OUTCOME, fidelity=2.0),
        like(BELL_OUTCOME, fidelity=float("nan")),
        like(BELL_OUTCOME, duration_ms=float("nan")),
        like(BELL_OUTCOME, duration_ms=float("inf")),
        like(BELL_OUTCOME, qubits_used=-1),
        like(BELL_OUTCOME, engine="x" * 1000),
        like(BELL_OUTCOME, result=[1]),
        packed(task.Progress(0.5, "a\x00b")),
        packed(task.Progress(0.5, "x" * 100_000)),
        packed(task.Progress(float("nan"), "not a number")),
        packed(task.Failure("X", "x" * 1_000_000)),
        struct.pack("!i", -1) + struct.pack("!Q", 2**62),
        struct.pack("!i", 2**31 - 1),
    ],
)
async def test_a_child_that_lies_is_refused_and_killed(
    engines: Children, impostor: Callable[[bytes], subprocess.Popen[bytes]], answer: bytes
):
    process = impostor(answer)
    with pytest.raises(EngineFault):
        await engines.call(bell(), timeout=10)
    assert process.wait(5) == -signal.SIGKILL


async def test_an_honest_answer_of_a_child_is_taken(
    engines: Children, impostor: Callable[[bytes], subprocess.Popen[bytes]]
):
    impostor(packed(task.Progress(0.5, "half")) + packed(BELL_OUTCOME))
    assert await engines.call(bell(), timeout=10) == BELL_OUTCOME
    idle(engines).pop().kill()


async def test_a_child_that_does_not_read_blocks_nobody(engines: Children):
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(["/bin/sleep", "60"])
    idle(engines).appendleft(Child(TaskStream(ours), process.pid, unheard()))
    with theirs, pytest.raises(ResourceExhausted):
        await engines.call(bell("x" * 1_000_000), timeout=0.2)
    assert process.wait(5) == -signal.SIGKILL
    await works(engines)


async def test_a_program_that_takes_too_much_cpu_to_be_measured_costs_its_child_alone(engines: Children):
    many = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; for int i in [1:20000] { x q; }'
    with pytest.raises(EngineFault):
        await engines.call(task.Describe(CIRCUIT, msgspec.json.encode({"qasm": many}), cpu_seconds=0.05), timeout=60)
    described = await engines.call(
        task.Describe(CIRCUIT, msgspec.json.encode({"qasm": BELL}), cpu_seconds=5.0), timeout=60
    )
    assert (described.features.active_qubits, described.features.gate_count) == (2, 2)
