"""Predictions: right where the truth is known, remembered, and never later than asked."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from services.execution.twins.shelf import snapshot
from services.execution.twins.twin import Twin
from services.routing.prediction.calibration import CALIBRATIONS, UnknownCalibrationError
from services.routing.prediction.model import Method
from services.routing.prediction.pool import OverdueError, Pool
from services.routing.prediction.predictor import Candidate, Predictor
from tests.unit.execution.twins import programs
from tests.unit.routing.prediction.circuits import encoded, ghz, rotations

SHOTS = 100_000
PATIENT = 60.0
CANDIDATES = [Candidate(path.stem.partition("@")[0], path.stem) for path in sorted(CALIBRATIONS.glob("*.json"))]
MACHINES = {each.backend_id: each for each in CANDIDATES}
FEW = [MACHINES[name] for name in ("ibm_marrakesh", "ibm_brisbane", "iqm_garnet")]


@pytest.fixture(scope="module")
async def predictor() -> AsyncIterator[Predictor]:
    made = Predictor(children=1, most_fitted=4)
    yield made
    await made.close()


def children() -> list[int]:
    """The children of pools in this process."""
    mine = [int(each) for each in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text("ascii").split()]
    return [each for each in mine if b"prediction.task" in Path(f"/proc/{each}/cmdline").read_bytes()]


async def test_a_twin_runs_as_well_as_predicted(predictor: Predictor):
    found = await predictor.predict(ghz(5), FEW, shots=SHOTS, seconds=PATIENT)
    for each in FEW:
        twin = Twin(snapshot(each.backend_id), threads=1, memory_limit=2**30)
        outcome = twin.run(programs.ghz(5), shots=SHOTS, seed=1)
        estimate = found[each.backend_id]
        assert estimate.method is Method.DENSITY_MATRIX
        assert estimate.low < outcome.fidelity < estimate.high
        assert estimate.value == pytest.approx(outcome.fidelity, abs=0.02)
        assert outcome.transpiled is not None
        assert estimate.profile.two_qubit_gate_count == outcome.transpiled.two_qubit_gate_count


async def test_the_best_by_their_summaries_are_fitted_and_the_others_say_that_they_are_not(predictor: Predictor):
    found = await predictor.predict(ghz(4), CANDIDATES, shots=SHOTS, seconds=PATIENT)
    methods = [found[each.backend_id].method for each in CANDIDATES if each.backend_id in found]
    assert methods.count(Method.DENSITY_MATRIX) == 4
    assert methods.count(Method.SUMMARY) == len(methods) - 4
    best = max(found, key=lambda name: found[name].value)
    assert found[best].method is Method.DENSITY_MATRIX


async def test_a_machine_without_room_is_left_out(predictor: Predictor):
    found = await predictor.predict(ghz(6), [MACHINES["ibm_lima"], MACHINES["ibm_lagos"]], shots=1, seconds=PATIENT)
    assert set(found) == {"ibm_lagos"}


async def test_what_is_known_is_answered_without_children(predictor: Predictor):
    first = await predictor.predict(ghz(5), FEW, shots=SHOTS, seconds=PATIENT)
    assert await predictor.predict(ghz(5), FEW, shots=SHOTS, seconds=0.0) == first


async def test_a_known_structure_with_other_angles_is_answered_without_children(predictor: Predictor):
    await predictor.predict(rotations(4, 0.1), FEW, shots=SHOTS, seconds=PATIENT)
    other = rotations(4, 0.7)
    found = await predictor.predict(other, FEW, shots=SHOTS, seconds=PATIENT)
    assert {each.method for each in found.values()} == {Method.KNOWN_STRUCTURE}
    assert not predictor.works_on(other)


async def test_angles_that_come_again_are_looked_at_while_nobody_waits(predictor: Predictor):
    await predictor.predict(rotations(4, 0.1), FEW, shots=SHOTS, seconds=PATIENT)
    other = rotations(4, 0.9)
    for _ in range(2):
        found = await predictor.predict(other, FEW, shots=SHOTS, seconds=PATIENT)
        assert {each.method for each in found.values()} == {Method.KNOWN_STRUCTURE}
    async with asyncio.timeout(PATIENT):
        while predictor.works_on(other):
            await asyncio.sleep(0.01)
    found = await predictor.predict(other, FEW, shots=SHOTS, seconds=0.0)
    assert {each.method for each in found.values()} == {Method.IDEAL_MIXTURE}


async def test_what_is_not_ready_in_time_is_answered_by_the_summary_and_ready_later(predictor: Predictor):
    found = await predictor.predict(ghz(7), FEW[:1], shots=SHOTS, seconds=0.0)
    assert found["ibm_marrakesh"].method is Method.SUMMARY
    later = await predictor.predict(ghz(7), FEW[:1], shots=SHOTS, seconds=PATIENT)
    assert later["ibm_marrakesh"].method is Method.DENSITY_MATRIX
    narrower = later["ibm_marrakesh"].high - later["ibm_marrakesh"].low
    assert narrower < found["ibm_marrakesh"].high - found["ibm_marrakesh"].low


async def test_a_killed_child_costs_an_answer_and_is_replaced(predictor: Predictor):
    await predictor.predict(ghz(5), FEW, shots=SHOTS, seconds=PATIENT)
    waiting = asyncio.create_task(predictor.predict(rotations(6, 0.3), FEW, shots=SHOTS, seconds=PATIENT))
    await asyncio.sleep(0)
    for child in children():
        os.kill(child, signal.SIGKILL)
    assert set(await waiting) == {each.backend_id for each in FEW}
    found = await predictor.predict(rotations(6, 0.3), FEW, shots=SHOTS, seconds=PATIENT)
    assert {each.method for each in found.values()} == {Method.DENSITY_MATRIX}


async def test_a_child_that_died_while_idle_is_replaced_before_it_is_asked(predictor: Predictor):
    await predictor.predict(ghz(5), FEW, shots=SHOTS, seconds=PATIENT)
    for child in children():
        os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):  # the loop has seen its end already
            await asyncio.to_thread(os.waitid, os.P_PID, child, os.WEXITED | os.WNOWAIT)
    found = await predictor.predict(rotations(5, 0.3), FEW, shots=SHOTS, seconds=PATIENT)
    assert {each.method for each in found.values()} == {Method.DENSITY_MATRIX}


async def test_what_is_no_circuit_is_refused(predictor: Predictor):
    for broken in (b"", b"\x92\xc4\x00\xc4\x00", ghz(3)[:-1]):
        with pytest.raises(ValueError, match=r".+"):
            await predictor.predict(broken, FEW, shots=1, seconds=PATIENT)


async def test_a_circuit_that_is_too_long_is_not_looked_at(predictor: Predictor):
    long = encoded(2, [("cx", (0, 1), (), ())] * 60_000)
    assert await predictor.predict(long, FEW, shots=1, seconds=PATIENT) == {}


async def test_a_calibration_that_is_not_there_is_refused(predictor: Predictor):
    for name in ("ibm_nowhere@2026-01-01", "../twins"):
        with pytest.raises(UnknownCalibrationError):
            await predictor.predict(ghz(2), [Candidate("x", name)], shots=1, seconds=PATIENT)


async def test_a_circuit_that_takes_too_long_is_given_up_and_not_tried_again():
    pool = Pool(CALIBRATIONS, children=1, longest=1e-4)
    try:
        with pytest.raises(OverdueError):
            await pool.find(FEW[0].calibration_id, ghz(5), None)
        hurried = Predictor(pool=pool)
        found = await hurried.predict(ghz(5), FEW[:1], shots=SHOTS, seconds=PATIENT)
        assert found["ibm_marrakesh"].method is Method.SUMMARY
        assert await hurried.predict(ghz(5), FEW[:1], shots=SHOTS, seconds=PATIENT) == found
    finally:
        await pool.close()
