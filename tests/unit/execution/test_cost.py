"""The model of costs: what it refuses and says would fit, how it orders, and that more is never cheaper."""

import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.execution.config import ExecutionConfig, WorkerConfig
from services.execution.engines import registry
from services.execution.engines.cost import COSTS_FILE, STEPS, CostModel, Limits, Plan, Refusal, steps
from services.execution.engines.engine import REFERENCE_QUBITS
from services.execution.programs.features import Features

MODEL = CostModel.load()
LIMITS = Limits(4 * 2**30, 300.0)
BELL = Features(
    2, 2, 2, 3, 2, 1, 2, 1,
    clifford=True, dynamic=False, unbounded=False, gates={"h": 1, "cx": 1}, measured_qubit_count=2, reach=1,
)  # fmt: skip


def program(n: int, gates: int = 200, **changes: object) -> Features:
    """A circuit that is not Clifford and entangles as much as it can."""
    wide = gates // 3
    known: dict[str, object] = {
        "num_qubits": n, "num_clbits": n, "active_qubits": n, "depth": max(1, gates // n), "gate_count": gates,
        "two_qubit_gate_count": wide, "measurement_count": n, "cut_rank_bits": n // 2, "clifford": False,
        "dynamic": False, "unbounded": False, "gates": {}, "measured_qubit_count": n, "reach": wide * max(1, n // 3),
        "rank_work_bits": 1.5 * n + 5,
    }  # fmt: skip
    return Features(**known | changes)  # type: ignore[arg-type]


def plans(features: Features, shots: int = 1024, limits: Limits = LIMITS, **how: object) -> list[Plan]:
    return MODEL.plans(features, shots, limits, **how)[0]  # type: ignore[arg-type]


def refusals(features: Features, limits: Limits = LIMITS) -> dict[tuple[str, str], Refusal]:
    return {(each.engine, each.method): each for each in MODEL.plans(features, 1024, limits)[1]}


def test_the_file_is_measured_and_has_every_engine_that_workers_have():
    assert set(MODEL.engines) == {*registry.ENGINES, *registry.NAMED}
    text = COSTS_FILE.read_text("utf-8")
    assert "bench/engines.py" in text


def test_nothing_is_planned_that_an_engine_says_it_cannot_do():
    for cost, _ in MODEL._costs:
        can = registry.engine(cost.engine).capabilities
        assert cost.max_qubits <= can.max_qubits[cost.method]
        assert not cost.dynamic or cost.method in can.dynamic
        assert not cost.branching or cost.method in can.branching
        if cost.double:
            assert can.precision == "double"


def test_workers_run_as_long_as_is_taken_on_and_have_the_memory():
    intake, worker = (
        {field.name: field.default for field in msgspec.structs.fields(config)}
        for config in (ExecutionConfig, WorkerConfig)
    )
    assert intake["run_seconds"] <= worker["run_seconds"]
    assert intake["run_memory_bytes"] < worker["engine_memory_bytes"]


def test_a_bell_pair_is_planned_in_less_than_a_millisecond_and_by_several_engines():
    made = plans(BELL)
    assert made[0].seconds_p50 < 1e-3
    assert len({plan.engine for plan in made}) > 2


def test_the_plans_are_in_order_and_wider_than_their_median():
    made = plans(program(16))
    hard_to_tell = {(cost.engine, cost.method) for cost, _ in MODEL._costs if not cost.predictable}
    told = [plan.seconds_p50 for plan in made if (plan.engine, plan.method) not in hard_to_tell]
    assert told == sorted(told)
    assert {(plan.engine, plan.method) for plan in made[len(told) :]} <= hard_to_tell, "these come last, however fast"
    assert all(plan.seconds_p90 >= plan.seconds_p50 for plan in made)


@pytest.mark.parametrize(
    ("features", "engine", "method"),
    [
        (BELL, {"qulacs", "qsim"}, "statevector"),
        (program(18), {"qsim"}, "statevector"),
        (program(100, clifford=True), {"stim"}, "stabilizer"),
        (program(60, cut_rank_bits=3, rank_work_bits=14), {"aer", "ddsim"}, "matrix_product_state"),
        (program(8, dynamic=True, midway_count=8), {"qulacs"}, "statevector"),
        (program(12, dynamic=True, midway_count=60), {"aer"}, None),
        (program(16, amplitudes=True), {"qulacs", "aer"}, "statevector"),
    ],
)
def test_each_kind_of_circuit_has_its_engine(features: Features, engine: set[str], method: str | None):
    first = plans(features)[0]
    assert first.engine in engine
    assert method in (None, first.method)


@pytest.mark.parametrize("name", registry.NAMED)
def test_an_engine_that_is_not_chosen_is_planned_only_by_its_name(name: str):
    assert name not in {plan.engine for plan in plans(BELL)}
    (plan,) = plans(program(10), engine=name)
    assert plan.engine == name
    assert 0 < plan.seconds_p50 <= plan.seconds_p90 < 1
    assert plan.memory_bytes >= 48 * 2**10
    assert not plans(program(10), engine=name, without={name})


def test_gates_outside_the_clifford_group_close_every_tableau():
    closed = refusals(program(5))
    assert closed["stim", "stabilizer"].reason == "the program has gates outside the Clifford group"


def test_dynamic_circuits_are_refused_by_engines_that_measure_once():
    closed = refusals(program(5, dynamic=True, midway_count=5))
    assert closed["qsim", "statevector"].reason == "it does not measure midway or reset"
    assert ("aer", "statevector") not in closed


def test_exact_amplitudes_are_refused_by_engines_of_single_precision():
    closed = refusals(program(5, amplitudes=True, clifford=True))
    assert "single precision" in closed["qsim", "statevector"].reason
    assert closed["stim", "stabilizer"].reason.startswith("it samples from a tableau, and exact probabilities")


def test_a_state_that_does_not_fit_the_memory_is_refused_with_the_qubits_that_would():
    limits = Limits(2**30, 1e9)
    closed = refusals(program(28), limits)
    assert closed["qsim", "statevector"].reason.endswith("of memory and a run may take 1 GiB: 26 qubits would fit")
    fits = program(26)
    assert ("qsim", "statevector") not in refusals(fits, limits)


def test_a_run_that_is_too_long_is_refused_by_numbers():
    closed = refusals(program(26, 2_000_000))
    reason = closed["qsim", "statevector"].reason
    assert reason.startswith("the run could take ")
    assert reason.endswith(" and may take 5 min: fewer gates, qubits or shots would fit")


def test_too_much_entanglement_is_refused_with_the_bond_dimension_that_would_fit():
    reason = refusals(program(60, cut_rank_bits=30))["aer", "matrix_product_state"].reason
    assert reason.startswith("a bond dimension of up to 2^30 needs ")
    assert "would fit" in reason


def test_nothing_is_planned_for_a_wide_circuit_that_entangles_everything():
    made, closed = MODEL.plans(program(50, 1800, cut_rank_bits=25, rank_work_bits=65), 1024, LIMITS)
    assert made == []
    assert [refusal.excess_bits for refusal in closed] == sorted(refusal.excess_bits for refusal in closed)


def test_a_named_engine_is_planned_alone_and_a_failed_one_not_at_all():
    assert {plan.engine for plan in plans(program(10), engine="aer")} == {"aer"}
    assert "qulacs" not in {plan.engine for plan in plans(program(10), without={"qulacs"})}


def test_many_circuits_take_as_many_times_as_long_and_classical_work_is_added():
    one = plans(program(10), engine="aer")[0]
    many = plans(program(10, circuit_count=100, classical_ms=2000.0), engine="aer")[0]
    assert many.seconds_p50 == pytest.approx(100 * one.seconds_p50 + 2.0)


GROWING = (
    "active_qubits", "gate_count", "two_qubit_gate_count", "cut_rank_bits", "rank_work_bits", "measurement_count",
    "measured_qubit_count", "midway_count", "reach", "circuit_count", "classical_ms",
)  # fmt: skip
some_programs = st.builds(
    lambda n, gates, dynamic, midway: program(
        n, gates, clifford=True, dynamic=dynamic, midway_count=midway if dynamic else 0, num_qubits=1_000
    ),
    st.integers(2, 40),
    st.integers(1, 5_000),
    st.booleans(),
    st.integers(1, 60),
)
NO_LIMITS = Limits(2**70, float("inf"))


@settings(deadline=None)
@given(some_programs, st.integers(1, 100_000), st.sampled_from(GROWING))
def test_more_is_never_cheaper_for_the_same_engine(features: Features, shots: int, name: str):
    def seconds(of: Features) -> dict[tuple[str, str], float]:
        return {(plan.engine, plan.method): plan.seconds_p50 for plan in plans(of, shots, NO_LIMITS)}

    before = seconds(features)
    grown = {name} | ({"gate_count"} if name == "two_qubit_gate_count" else set())
    after = seconds(replace(features, **{each: getattr(features, each) + 1 for each in grown}))
    more_shots = {(plan.engine, plan.method): plan.seconds_p50 for plan in plans(features, shots + 1, NO_LIMITS)}
    if name == "active_qubits" and features.active_qubits == REFERENCE_QUBITS:
        # One qubit more, and what only samples is compared with no state vector any more.
        before = {way: seconds for way, seconds in before.items() if way[1] == "statevector"}
    assert all(after[way] >= before[way] * (1 - 1e-9) for way in before.keys() & after.keys())
    assert all(more_shots[way] >= before[way] * (1 - 1e-9) for way in before)


huge = st.builds(
    Features,
    **{
        field.name: {"int": st.integers(0, 2**63 - 1), "bool": st.booleans(), "float": st.floats(0, 1e6)}.get(
            str(field.type), st.just({})
        )
        for field in fields(Features)
    },
)


@settings(deadline=None, max_examples=50)
@given(huge, st.sampled_from(sorted(STEPS)), st.integers(1, 2**63 - 1))
def test_no_program_is_too_large_to_be_counted(features: Features, method: str, shots: int):
    counted = steps(method, features, shots)  # type: ignore[arg-type]
    assert len(counted) == len(STEPS[method])  # type: ignore[index]
    assert all(number >= 0 for number in counted)
    MODEL.plans(features, shots, LIMITS)


def test_a_step_that_no_method_has_is_refused(tmp_path: Path):
    file = tmp_path / "costs.toml"
    file.write_text(COSTS_FILE.read_text("utf-8").replace("\nrun = ", "\nwalk = ", 1), "utf-8")
    with pytest.raises(ValueError, match="has no steps of kind walk"):
        CostModel.load(file)


def test_planning_takes_microseconds():
    features, best = program(12), 1.0
    for _ in range(20):
        start = time.process_time()
        for _ in range(20):
            MODEL.plans(features, 1024, LIMITS)
        best = min(best, (time.process_time() - start) / 20)
    assert best < 200e-6  # 30 on an idle machine


def test_planning_imports_no_engine_and_no_numpy():
    code = (
        "import sys\nfrom services.execution.engines.cost import CostModel\nCostModel.load()\n"
        "print([name for name in ('numpy', 'qiskit', 'stim') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
