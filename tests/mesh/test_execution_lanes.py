"""Lanes: runs that wait together share a message to a child, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from mesh.errors import InvalidArgument, ResourceExhausted
from services.execution import compute, task
from services.execution.children import Children, EngineFault
from services.execution.lanes import LANE_SECONDS, Lanes
from tests.mesh.executing import BELL, CIRCUIT, ENGINE_BYTES

HEADER = 'OPENQASM 2.0; include "qelib1.inc";'
COINS = f"{HEADER} qreg q[5]; creg c[5]; h q; t q; h q; cx q[0],q[1]; measure q -> c;"
GHZ = f"{HEADER} qreg q[8]; creg c[8]; h q[0]; {''.join(f'cx q[{n}],q[{n + 1}];' for n in range(7))} measure q -> c;"
LAYERS = "".join(f"rx(0.{layer + 1}) q; cz q[0],q[1];" for layer in range(60))
SLOW = f"{HEADER} qreg q[23]; creg c[23]; {LAYERS} measure q -> c;"
"""Takes about a minute."""


class Counted(Children):
    """Children that say what they were asked for."""

    def __init__(self, count: int) -> None:
        super().__init__(count, memory_bytes=ENGINE_BYTES)
        self.asked: list[task.Request] = []

    async def call(self, request: Any, **options: Any) -> Any:
        self.asked.append(request)
        return await super().call(request, **options)

    @property
    def shapes(self) -> list[int]:
        """How many runs each message had."""
        return [len(each.runs) if isinstance(each, task.Lane) else 1 for each in self.asked]


def bell(qasm: str = BELL, **changes: Any) -> task.Run:
    fields = {"shots": 1024, "seed": 1, "engine": "qulacs", "method": "statevector"} | changes
    return task.Run(CIRCUIT, msgspec.json.encode({"qasm": qasm}), **fields)


def silent(_fraction: float, _message: str) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@pytest_asyncio.fixture(scope="module")
async def engines() -> AsyncIterator[Counted]:
    engines = Counted(1)
    await engines.start()
    yield engines
    await engines.close()


@pytest.fixture
def children(engines: Counted) -> Counted:
    engines.asked.clear()
    return engines


async def outcomes(lanes: Lanes, *runs: task.Run, timeout: float = 60.0) -> list[task.Outcome | BaseException]:
    return await asyncio.gather(
        *(lanes.run(run, timeout=timeout, on_progress=silent) for run in runs), return_exceptions=True
    )


async def test_runs_in_a_lane_give_what_they_give_alone_bit_for_bit(children: Counted):
    aer = {"engine": "aer", "method": "matrix_product_state", "attempts": True}
    stabilizer = {"engine": "stim", "method": "stabilizer"}
    runs = [
        bell(qasm, shots=shots, seed=seed, **how)
        for qasm in (COINS, GHZ)
        for shots, seed, how in ((100, 7, {}), (1000, 7, {}), (1000, 8, {"engine": "qsim"}), (1000, 7, aer))
    ] + [bell(GHZ, seed=9, **stabilizer), bell(seed=2**63 - 1)]
    together = await outcomes(Lanes(children), *runs)
    assert children.shapes[0] == len(runs)
    for run, found in zip(runs, together, strict=True):
        alone = await children.call(run, timeout=60)
        assert isinstance(found, task.Outcome)
        assert found.result == alone.result
        assert (found.engine, found.fidelity) == (alone.engine, alone.fidelity)
    assert len({msgspec.json.encode(each.result) for each in together if isinstance(each, task.Outcome)}) == len(runs)


def test_a_row_of_runs_gives_what_they_give_alone_bit_for_bit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compute, "ROW_SECONDS", 60.0)
    runs = (bell(COINS, seed=1), bell(GHZ, seed=2, engine="qsim"), bell(COINS, seed=3), bell(COINS, seed=1, shots=9))
    for run, together in zip(runs, compute._in_a_row(task.Lane(runs)).answers, strict=True):
        alone = compute.answer(run, silent)
        assert isinstance(together, task.Outcome)
        assert isinstance(alone, task.Outcome)
        assert together.result == alone.result


async def test_a_lone_run_goes_by_itself_and_what_comes_meanwhile_shares_the_next_message(children: Counted):
    lanes = Lanes(children)
    first = asyncio.create_task(outcomes(lanes, bell()))
    while not children.asked:
        await asyncio.sleep(0)
    await outcomes(lanes, *(bell(seed=seed) for seed in range(2, 22)))
    await first
    assert children.shapes[:2] == [1, 16]


async def test_a_run_that_fails_is_asked_for_again_at_once(children: Counted):
    lanes = Lanes(children)
    for _ in range(3):
        (found,) = await outcomes(lanes, bell("OPENQASM 2.0; nonsense"))
        assert isinstance(found, InvalidArgument)
    assert children.shapes == [1, 1, 1]


async def test_a_faulty_program_fails_alone(children: Counted):
    good, bad = bell(), bell("OPENQASM 2.0; nonsense")
    found = await outcomes(Lanes(children), good, bad, good)
    assert [type(each) for each in found] == [task.Outcome, InvalidArgument, task.Outcome]
    assert children.shapes[0] == 3


async def test_a_run_that_kills_its_child_fails_alone(children: Counted):
    found = await outcomes(Lanes(children), bell(seed=1), bell(seed=2, crash=True), bell(seed=3))
    assert [type(each) for each in found] == [task.Outcome, EngineFault, task.Outcome]
    assert children.shapes == [3, 1, 1, 1]  # each of the three alone: nobody knows which one it was


async def test_a_run_without_enough_memory_fails_alone(children: Counted):
    wide = f"{HEADER} qreg q[26]; creg c[26]; h q; measure q -> c;"
    hungry = bell(wide, engine="aer", memory_bytes=256 * 2**20)
    found = await outcomes(Lanes(children), bell(seed=1), hungry, bell(seed=3))
    assert [type(each) for each in found] == [task.Outcome, ResourceExhausted, task.Outcome]
    assert children.shapes[0] == 3


async def test_a_run_that_is_longer_than_was_said_holds_up_no_other_and_is_cancelled(children: Counted):
    lanes = Lanes(children)
    slow = asyncio.create_task(lanes.run(bell(SLOW), timeout=60, on_progress=silent))
    fast = asyncio.create_task(lanes.run(bell(seed=2), timeout=60, on_progress=silent))
    while len(children.asked) < 3:
        await asyncio.sleep(0.01)
    assert children.shapes[0] == 2
    started = time.monotonic()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert time.monotonic() - started < 1
    assert isinstance(await fast, task.Outcome)


async def test_a_run_that_is_cancelled_in_a_lane_leaves_it_to_the_others(children: Counted):
    lanes = Lanes(children)
    tasks = [asyncio.create_task(lanes.run(bell(seed=seed), timeout=60, on_progress=silent)) for seed in range(4)]
    while not children.asked:
        await asyncio.sleep(0)
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [task.Outcome, asyncio.CancelledError, task.Outcome, task.Outcome]
    assert children.shapes[0] == 4


def test_a_child_begins_no_run_of_a_lane_late_and_tells_which(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compute, "ROW_SECONDS", -1.0)
    assert compute._in_a_row(task.Lane((bell(), bell()))) == task.Answers((None, None))
    assert compute.ROW_SECONDS < LANE_SECONDS
