import itertools
import json
import math
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector

from services.execution.engines import qulacs, readout, registry, stim
from services.execution.engines.engine import EngineError, Method
from services.execution.engines.matrices import matrix
from services.execution.engines.readout import readout_of
from services.execution.engines.sampling import distinct, generator, marginal, sample
from services.execution.programs.circuit import program_of
from services.execution.programs.clifford import clifford_form
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm
from services.execution.programs.tape import tape_of
from tests.unit.execution.circuits import GATES, circuits, distance, farthest

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
EXACT: tuple[tuple[str, Method, float], ...] = (
    ("aer", "statevector", 1e-10),
    ("qulacs", "statevector", 1e-10),
    ("ddsim", "decision_diagram", 1e-10),
    ("qsim", "statevector", 1e-5),
)
"""Engines whose amplitudes can be read, and how exact these are."""
SAMPLED: tuple[tuple[str, Method], ...] = (
    *((name, method) for name, method, _ in EXACT),
    ("aer", "matrix_product_state"),
    ("aer", "density_matrix"),
)
CLIFFORD: tuple[tuple[str, Method], ...] = (("stim", "stabilizer"), ("aer", "stabilizer"), ("qulacs", "statevector"))
SOME = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def run(name: str, circuit: QuantumCircuit, method: Method, *, shots: int = 4000, seed: int = 1, **asked: bool):
    return registry.engine(name).run(program_of(circuit, Limits()), shots=shots, seed=seed, method=method, **asked)


def around(gate: str, seed: int) -> QuantumCircuit:
    """A gate between turns of every qubit, so that each entry of its matrix shows in the amplitudes."""
    chance = random.Random(seed)
    circuit = QuantumCircuit(4)
    for part in range(2):
        for qubit in range(4):
            circuit.u(*(chance.uniform(-3, 3) for _ in range(3)), qubit)
        if part == 0:
            chosen = GATES[gate]
            angles = [chance.uniform(-7, 7) for _ in chosen.params]
            circuit.append(chosen.base_class(*angles), chance.sample(range(4), chosen.num_qubits))
    return circuit


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_its_matrix_and_its_amplitudes_on_every_engine(name: str):
    angles = tuple(0.3 + place for place in range(len(GATES[name].params)))
    assert np.allclose(matrix(name, angles), GATES[name].base_class(*angles).to_matrix(), atol=1e-14)
    for seed in range(2):
        circuit = around(name, seed)
        expected = Statevector(circuit).data
        for engine, method, close in EXACT:
            found = registry.engine(engine).statevector(circuit, method)
            assert np.abs(found - expected).max() < close, engine


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_its_distribution_by_every_sampling_method(name: str):
    circuit = around(name, 5)
    expected = Statevector(circuit).probabilities()
    for engine, method in SAMPLED[-2:]:
        counts = run(engine, circuit, method, shots=2000).counts
        assert distance(counts, {f"{key:04b}": p for key, p in enumerate(expected)}) < farthest(16, 2000), method


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_its_unitary_on_stim_or_is_refused(name: str):
    gate = GATES[name]
    for angles in itertools.islice(itertools.product((math.pi / 2, math.pi), repeat=len(gate.params)), 4):
        circuit = QuantumCircuit(gate.num_qubits)
        circuit.append(gate.base_class(*angles), range(gate.num_qubits))
        if clifford_form(name, angles) is None:
            with pytest.raises(EngineError, match="Clifford"):
                stim.transcode(tape_of(circuit))
            continue
        found = stim.transcode(tape_of(circuit)).to_tableau().to_unitary_matrix(endian="little")
        assert Operator(found).equiv(Operator(circuit), atol=1e-6)


@SOME
@given(circuits())
def test_exact_engines_agree_on_the_distribution_of_random_circuits(circuit: QuantumCircuit):
    expected = run("qulacs", circuit, "statevector", with_probabilities=True).probabilities
    for engine, method, close in EXACT:
        found = run(engine, circuit, method, with_probabilities=True).probabilities
        differences = (abs(found.get(key, 0.0) - expected.get(key, 0.0)) for key in {*found, *expected})
        assert max(differences) < close, engine


@SOME
@given(circuits())
def test_sampled_engines_agree_pairwise_on_random_circuits(circuit: QuantumCircuit):
    counts = {way: run(way[0], circuit, way[1], shots=1000).counts for way in SAMPLED}
    for one, other in itertools.combinations(counts, 2):
        assert distance(counts[one], counts[other]) < farthest(2**circuit.num_clbits, 1000), (one, other)


@SOME
@given(circuits(clifford=True, most=8))
def test_stabilizer_engines_agree_on_random_clifford_circuits(circuit: QuantumCircuit):
    counts = {way: run(way[0], circuit, way[1]).counts for way in CLIFFORD}
    for one, other in itertools.combinations(counts, 2):
        assert distance(counts[one], counts[other]) < farthest(2**circuit.num_clbits, 4000), (one, other)


@SOME
@given(circuits(clifford=True, dynamic=True, most=4))
def test_stim_measures_and_resets_midway_as_aer_does(circuit: QuantumCircuit):
    one, other = (run(name, circuit, method, shots=1000).counts for name, method in CLIFFORD[:2])
    assert distance(one, other) < farthest(2**circuit.num_clbits, 1000)


@SOME
@given(circuits(dynamic=True, most=4))
def test_qulacs_measures_and_resets_midway_as_aer_does(circuit: QuantumCircuit):
    one, other = (run(name, circuit, "statevector", shots=1000).counts for name in ("qulacs", "aer"))
    assert distance(one, other) < farthest(2**circuit.num_clbits, 1000)


def test_measurements_midway_repeat_by_their_seed_and_reset_what_they_read():
    program = parse_openqasm(
        V2
        + """qreg q[3]; creg c[3]; h q[0]; cx q[0],q[1]; measure q[0]->c[0]; reset q[0]; h q[2];
        measure q[2]->c[2]; cx q[2],q[0]; measure q[0]->c[2]; measure q[1]->c[1];""",
        Limits(),
    )
    one, again, other = (
        registry.engine("qulacs").run(program, shots=20_000, seed=seed, method="statevector").counts
        for seed in (1, 1, 2)
    )
    assert one == again != other
    expected = {"000": 0.25, "011": 0.25, "100": 0.25, "111": 0.25}
    assert set(one) == set(expected)
    assert distance(one, expected) < farthest(4, 20_000)


def test_the_bound_on_distances_catches_a_wrong_angle():
    right, wrong = QuantumCircuit(2), QuantumCircuit(2)
    right.ry(1.0, 0)
    wrong.ry(1.35, 0)
    for circuit in (right, wrong):
        circuit.cx(0, 1)
    one, other = (run("qulacs", circuit, "statevector").counts for circuit in (right, wrong))
    assert distance(one, other) > farthest(4, 4000)


WAYS = [*SAMPLED, *CLIFFORD]


@pytest.mark.parametrize(("name", "method"), WAYS)
def test_a_seed_repeats_counts_and_memory_and_another_differs(name: str, method: Method):
    circuit = QuantumCircuit(5)
    circuit.h(range(5))
    first, again, other = (run(name, circuit, method, seed=seed, with_memory=True) for seed in (7, 7, 8))
    assert (first.counts, first.memory) == (again.counts, again.memory)
    assert first.counts != other.counts
    assert Counter(first.memory) == first.counts
    assert distance(first.counts, other.counts) > 0.005  # independent, not neighbours


@pytest.mark.parametrize(("name", "method"), WAYS)
def test_readout_follows_qiskit_order_on_every_engine(name: str, method: Method):
    source = """qreg q[7]; creg a[3]; creg b[2]; x q[4]; x q[6]; cx q[4],q[1];
        measure q[4] -> b[1]; measure q[0] -> a[0]; measure q[6] -> a[2]; measure q[6] -> b[0]; measure q[1] -> b[0];
        measure q[0] -> a[2];"""
    program = parse_openqasm(V2 + source, Limits())
    assert registry.engine(name).run(program, shots=50, seed=1, method=method).counts == {"11 000": 50}


@pytest.mark.parametrize(("name", "method"), WAYS)
@pytest.mark.parametrize("width", [1, 3])
def test_a_circuit_that_only_measures_reads_zeros(name: str, method: Method, width: int):
    assert run(name, QuantumCircuit(width), method, shots=9).counts == {"0" * width: 9}


@pytest.mark.parametrize(("name", "method"), [("qsim", "statevector"), ("ddsim", "decision_diagram")])
def test_engines_that_measure_at_the_end_refuse_a_circuit_that_does_midway(name: str, method: Method):
    program = parse_openqasm(V2 + "qreg q[1]; creg c[1]; h q[0]; measure q->c; h q[0];", Limits())
    with pytest.raises(EngineError, match="qiskit-aer takes circuits") as caught:
        registry.engine(name).run(program, shots=1, seed=1, method=method)
    assert caught.value.reason == "UNSUPPORTED"


def test_stim_refuses_control_flow_and_gates_outside_its_group():
    engine = registry.engine("stim")
    branching = parse_openqasm(V3 + "qubit q; bit c; c = measure q; if (c) { x q; }", Limits())
    with pytest.raises(EngineError, match="control flow") as caught:
        engine.run(branching, shots=1, seed=1, method="stabilizer")
    assert caught.value.reason == "UNSUPPORTED"
    with pytest.raises(EngineError, match="Clifford") as caught:
        engine.run(parse_openqasm(V2 + "qreg q[1]; t q[0];", Limits()), shots=1, seed=1, method="stabilizer")
    assert caught.value.reason == "NOT_CLIFFORD"


@pytest.mark.parametrize("name", registry.ENGINES)
def test_every_engine_says_what_it_has_and_refuses_the_rest(name: str):
    engine = registry.engine(name)
    can = engine.capabilities
    assert can.max_qubits
    assert can.branching <= can.dynamic <= set(can.max_qubits)
    for method, widest in can.max_qubits.items():
        assert widest >= 12
        wide = QuantumCircuit(widest + 1, 1)
        wide.h(range(widest + 1))
        wide.measure(0, 0)
        with pytest.raises(EngineError, match=f"more than the {widest}") as caught:
            engine.run(program_of(wide, Limits(qubits=widest + 1)), shots=1, seed=1, method=method)
        assert caught.value.reason == "OUT_OF_MEMORY"
    with pytest.raises(EngineError, match="no method"):
        run(name, QuantumCircuit(1), "no_such_method")


@pytest.mark.parametrize(
    ("raised", "reason"), [(RuntimeError("broke"), "ENGINE_FAULT"), (MemoryError(), "OUT_OF_MEMORY")]
)
def test_what_a_library_raises_is_an_engine_error(monkeypatch: pytest.MonkeyPatch, raised: Exception, reason: str):
    def fail(_width: int) -> None:
        raise raised

    monkeypatch.setattr(qulacs, "QuantumState", fail)
    with pytest.raises(EngineError, match="qulacs") as caught:
        run("qulacs", QuantumCircuit(1), "statevector")
    assert caught.value.reason == reason
    with pytest.raises(EngineError):
        registry.engine("qulacs").statevector(QuantumCircuit(1), "statevector")


def test_engines_without_amplitudes_name_one_that_has_them():
    for name, method in (("stim", "stabilizer"), ("aer", "density_matrix"), ("aer", "stabilizer")):
        with pytest.raises(EngineError, match="qulacs by statevector does"):
            registry.engine(name).statevector(QuantumCircuit(1), method)


def test_qsim_samples_a_state_too_wide_to_read():
    circuit = QuantumCircuit(21, 3)
    circuit.ry(2 * math.pi / 3, 20)
    for qubit in range(20):
        circuit.cx(20, qubit)
    circuit.measure([20, 3, 7], [2, 0, 1])
    counts = run("qsim", circuit, "statevector", shots=8000).counts
    assert set(counts) == {"000", "111"}
    assert counts["111"] / 8000 == pytest.approx(0.75, abs=6 * math.sqrt(0.75 * 0.25 / 8000))


def test_stim_writes_a_thousand_bits_and_repeats_by_its_seed():
    circuit = QuantumCircuit(1000)
    circuit.h(0)
    for qubit in range(999):
        circuit.cx(qubit, qubit + 1)
    circuit.x(999)
    counts = run("stim", circuit, "stabilizer", shots=2000).counts
    assert set(counts) == {"1" + "0" * 999, "0" + "1" * 999}
    assert counts == run("stim", circuit, "stabilizer", shots=2000).counts


def test_decision_diagram_holds_a_wide_w_state():
    width = 40
    circuit = QuantumCircuit(width)
    circuit.x(width - 1)
    for left in range(width - 1, 0, -1):
        turn = math.acos(math.sqrt(1 / (left + 1)))
        circuit.ry(-turn, left - 1)
        circuit.cz(left, left - 1)
        circuit.ry(turn, left - 1)
    for right in range(width - 1, 0, -1):
        circuit.cx(right - 1, right)
    counts = run("ddsim", circuit, "decision_diagram", shots=8000).counts
    assert {key.count("1") for key in counts} == {1}
    assert len(counts) == width
    assert max(counts.values()) < 8000 / width + 6 * math.sqrt(8000 / width)


def test_counts_too_long_to_write_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readout, "LARGEST_COUNTS", 100_000)
    circuit = QuantumCircuit(1000)
    circuit.h(range(1000))
    assert len(run("stim", circuit, "stabilizer", shots=100).counts) == 100
    with pytest.raises(EngineError, match="fewer shots") as caught:
        run("stim", circuit, "stabilizer", shots=101)
    assert caught.value.reason == "OUT_OF_MEMORY"


@pytest.mark.parametrize("shots", [50, 200_000])
def test_sampling_few_and_many_shots_follows_the_distribution(shots: int):
    weights = np.array([0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0, *[0.0] * 200, *[0.001] * 100, 0.0])
    outcomes, counts = sample(weights, shots, generator(3, "test"))
    assert counts.sum() == shots
    assert np.all(weights[outcomes] > 0)
    frequencies = np.bincount(outcomes, weights=counts, minlength=len(weights)) / shots
    assert np.abs(frequencies - weights / weights.sum()).sum() / 2 < farthest(104, shots)


def test_marginals_are_sums_over_the_other_qubits():
    weights = np.random.default_rng(1).random(2**7)
    for qubits in ((), (0,), (6,), (1, 2, 5), (0, 3, 4, 6), tuple(range(7))):
        expected = np.zeros(2 ** len(qubits))
        for index, weight in enumerate(weights):
            expected[sum((index >> qubit & 1) << place for place, qubit in enumerate(qubits))] += weight
        assert np.allclose(marginal(weights, qubits), expected)


@pytest.mark.parametrize("length", [1, 8, 9, 30])
def test_distinct_rows_add_up(length: int):
    rows = np.random.default_rng(2).integers(0, 2, (500, length), dtype=np.uint8)
    found, counts = distinct(rows, np.arange(500))
    expected: Counter[bytes] = Counter()
    for index, row in enumerate(rows):
        expected[row.tobytes()] += index
    assert {row.tobytes(): count for row, count in zip(found, counts.tolist(), strict=True)} == expected


def test_readout_of_a_tape_takes_the_last_measurement_into_a_bit():
    tape = parse_openqasm(V2 + "qreg q[3]; creg c[2]; measure q[2] -> c[0]; measure q[1] -> c[0];", Limits()).tape
    assert readout_of(tape).qubits == (0,)


def test_registry_imports_an_engine_at_its_first_use_and_all_of_them_survive_a_fork():
    code = """
import json, os, signal, sys
from services.execution.engines import registry
heavy = [name for name in ("qiskit_aer", "stim", "qulacs", "mqt.ddsim", "cirq") if name in sys.modules]
registry.preload()
child = os.fork()
if child == 0:
    signal.alarm(60)
    from services.execution.programs.limits import Limits
    from services.execution.programs.openqasm import parse_openqasm
    source = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[10]; h q; cx q[0],q[9];'
    for name in registry.ENGINES:
        engine = registry.engine(name)
        for method in engine.capabilities.max_qubits:
            engine.run(parse_openqasm(source, Limits()), shots=10, seed=1, method=method)
    os._exit(0)
print(json.dumps([heavy, os.waitpid(child, 0)[1], "cirq" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], 0, False]
