"""How many threads a run gets, and that its counts do not depend on it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qm.routing.v1 import routing_pb2

from services.execution.engines import registry
from services.execution.engines.sampling import sample, sample_amplitudes
from services.execution.job import Queue
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.slots import Slots
from services.execution.threads import wanted_threads


class _Job:
    def __init__(self, engine: str, seconds: float) -> None:
        self.backend = routing_pb2.Backend(engine=engine)
        self.decision = routing_pb2.Decision()
        self.decision.estimate.duration_p50.FromMilliseconds(round(seconds * 1e3))


@pytest.mark.parametrize(
    ("engine", "seconds", "threads"),
    [("qsim", 0.0, 1), ("qsim", 0.9, 1), ("qsim", 1.1, 2), ("qsim", 3.0, 4), ("qsim", 300.0, 8), ("aer", 300.0, 1)],
)
def test_a_run_wants_threads_by_its_size(engine: str, seconds: float, threads: int):
    assert wanted_threads(cast("Any", _Job(engine, seconds))) == threads


def test_a_wide_run_leaves_an_engine_free():
    slots = Slots(4)
    assert slots.take(Queue.SHORT)
    assert slots.widen(Queue.SHORT, 7) == 2
    assert slots.take(Queue.SHORT)


def test_a_wide_run_keeps_what_is_reserved_for_others():
    slots = Slots(8, short_count=3)
    assert slots.take(Queue.LONG)
    assert slots.widen(Queue.LONG, 7) == 4


def test_of_two_engines_nobody_gets_both():
    slots = Slots(2, short_count=1)
    assert slots.take(Queue.SHORT)
    assert slots.widen(Queue.SHORT, 1) == 0


def test_places_come_back():
    slots = Slots(4)
    slots.take(Queue.SHORT)
    for _ in range(slots.widen(Queue.SHORT, 2)):
        slots.release(Queue.SHORT)
    assert slots.widen(Queue.SHORT, 2) == 2


def test_counts_do_not_depend_on_threads():
    circuit, random = QuantumCircuit(21), np.random.default_rng(3)
    for layer in range(3):
        for qubit in range(21):
            circuit.u(*random.uniform(0, 6, 3), qubit)
        for qubit in range(layer % 2, 20, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    program = program_of(circuit, Limits())
    one, two = (
        registry.engine("qsim", threads=threads).run(program, shots=2000, seed=7, method="statevector").counts
        for threads in (1, 2)
    )
    assert one == two


def test_a_state_is_sampled_as_its_distribution_is():
    parts = np.zeros(2 << 19, dtype=np.float32)  # two blocks
    weights = {5: 0.5, 2**18 - 1: 0.1, 2**18: 0.3, 2**19 - 1: 0.1}
    for place, weight in weights.items():
        parts[2 * place + place % 2] = np.sqrt(weight)
    outcomes, counts = sample_amplitudes(parts, 10_000, np.random.default_rng(1))
    assert outcomes.tolist() == sorted(weights)
    assert counts / 10_000 == pytest.approx([weights[outcome] for outcome in outcomes.tolist()], abs=0.03)


def test_a_state_of_one_block_is_sampled_to_the_same_counts():
    random = np.random.default_rng(2)
    parts = random.normal(size=64).astype(np.float32)
    whole = parts.astype(np.float64)
    drawn = sample_amplitudes(parts, 20, np.random.default_rng(1))
    expected = sample(whole[0::2] ** 2 + whole[1::2] ** 2, 20, np.random.default_rng(1))
    assert [each.tolist() for each in drawn] == [each.tolist() for each in expected]
