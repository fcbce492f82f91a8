import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector
from scipy.stats import chisquare

from services.execution.engines.aer import AerEngine
from services.execution.engines.engine import LARGEST_MEMORY, METHODS, EngineError, Method, memory_bytes
from services.execution.engines.memory import available_memory
from services.execution.engines.readout import Readout
from services.execution.engines.sampling import generator, hellinger_fidelity, is_comparable, sample
from services.execution.engines.seeds import LARGEST_SEED, derive_seed, spread_seed
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm
from services.execution.programs.program import Program

AER_METHODS: tuple[Method, ...] = tuple(method for method in METHODS if method != "decision_diagram")
V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
BELL = V2 + "qreg q[2]; creg c[2]; h q[0]; cx q[0], q[1]; measure q -> c;"


@pytest.fixture(scope="module")
def engine() -> AerEngine:
    return AerEngine(threads=1, memory_limit=2**28)


def parse(source: str) -> Program:
    return parse_openqasm(source, Limits())


def fits(counts: dict[str, int], expected: dict[str, float]) -> bool:
    """Chi-square at one in a million: fails for a wrong distribution, not for an unlucky seed."""
    if len(expected) == 1 or set(counts) - set(expected):
        return set(counts) == set(expected)
    shots = sum(counts.values())
    observed = [counts.get(key, 0) for key in expected]
    return bool(chisquare(observed, [p * shots for p in expected.values()]).pvalue > 1e-6)


@pytest.mark.parametrize("method", AER_METHODS)
def test_bell_pair_gives_its_distribution_by_every_method(engine: AerEngine, method: Method):
    outcome = engine.run(parse(BELL), shots=4096, seed=5, method=method)
    assert sum(outcome.counts.values()) == outcome.shots == 4096
    assert fits(outcome.counts, {"00": 0.5, "11": 0.5})
    assert (outcome.engine, outcome.method, outcome.fidelity_method) == ("qiskit-aer", method, "ideal_comparison")
    assert 0.99 < outcome.fidelity <= 1


@pytest.mark.parametrize("method", ["statevector", "matrix_product_state"])
@pytest.mark.parametrize("seed", range(3))
def test_random_circuit_matches_its_ideal_distribution(engine: AerEngine, method: Method, seed: int):
    circuit = random_circuit(4, 5, max_operands=2, seed=seed)
    ideal = {key: p for key, p in Statevector(circuit).probabilities_dict().items() if p > 1e-9}
    outcome = engine.run(parse(qasm2.dumps(circuit)), shots=8192, seed=11, method=method, with_probabilities=True)
    assert fits(outcome.counts, ideal)
    assert outcome.probabilities == pytest.approx(ideal, abs=1e-9)


def test_bit_strings_follow_qiskit_order_over_registers(engine: AerEngine):
    source = "qreg q[3]; creg a[2]; creg b[1]; x q[0]; measure q[0] -> a[0]; measure q[2] -> b[0];"
    assert engine.run(parse(V2 + source), shots=10, seed=1, method="statevector").counts == {"0 01": 10}
    circuit = qasm2.loads(V2 + source)
    assert set(engine._simulators["statevector"].run(circuit, shots=10).result().get_counts()) == {"0 01"}


def test_idle_qubits_cost_nothing(engine: AerEngine):
    source = "qreg q[60]; creg c[2]; h q[59]; cx q[59], q[3]; measure q[59] -> c[0]; measure q[3] -> c[1];"
    outcome = engine.run(parse(V2 + source), shots=2048, seed=1, method="statevector")
    assert fits(outcome.counts, {"00": 0.5, "11": 0.5})


def test_last_measurement_into_a_bit_counts(engine: AerEngine):
    source = "qreg q[2]; creg c[1]; x q[1]; measure q[0] -> c[0]; measure q[1] -> c[0];"
    assert engine.run(parse(V2 + source), shots=8, seed=1, method="statevector").counts == {"1": 8}


def test_more_than_62_bits_are_written_whole(engine: AerEngine):
    source = "qreg q[1]; creg c[80]; x q[0]; measure q[0] -> c[70];"
    key = "0" * 9 + "1" + "0" * 70
    for method in AER_METHODS:
        assert engine.run(parse(V2 + source), shots=8, seed=1, method=method).counts == {key: 8}


@pytest.mark.parametrize("method", AER_METHODS)
@pytest.mark.parametrize(
    "source", [BELL, V2 + "qreg q[2]; creg c[2]; h q[0]; measure q[0]->c[0]; h q[0]; measure q->c;"]
)
def test_a_seed_repeats_bit_for_bit_and_another_differs(engine: AerEngine, method: Method, source: str):
    program = parse(source)
    first, again, other = (engine.run(program, shots=2000, seed=seed, method=method).counts for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_seed_repeats_on_more_threads_and_in_a_new_engine(engine: AerEngine):
    program = parse(V2 + "qreg q[3]; creg c[3]; h q; measure q[0]->c[0]; h q[0]; cx q[0],q[1]; measure q->c;")
    threaded = AerEngine(threads=2, memory_limit=2**28)
    for method in AER_METHODS:
        expected = engine.run(program, shots=3000, seed=9, method=method).counts
        assert threaded.run(program, shots=3000, seed=9, method=method).counts == expected


def test_neighbouring_seeds_are_independent(engine: AerEngine):
    program = parse(V2 + "qreg q[5]; creg c[5]; h q; measure q[0]->c[0]; h q[0]; measure q->c;")
    one, two = (engine.run(program, shots=2048, seed=seed, method="statevector").counts for seed in (1, 2))
    distance = sum(abs(one.get(key, 0) - two.get(key, 0)) for key in {*one, *two}) / (2 * 2048)
    assert distance > 0.03  # Aer's own seeds 1 and 2 give about 0.0003; independent runs about 0.07


DYNAMIC = {
    "teleported one": (
        """qubit[3] q; bit[2] c; bit r; ry(2*pi/3) q[0]; h q[1]; cx q[1], q[2]; cx q[0], q[1]; h q[0];
        c[0] = measure q[0]; c[1] = measure q[1]; if (c[1] == 1) { x q[2]; } if (c[0]) { z q[2]; } r = measure q[2];""",
        {f"{r} {c:02b}": (0.25, 0.75)[r] / 4 for r in (0, 1) for c in range(4)},
    ),
    "repeat until success": ("qubit q; bit c; while (c == 0) { h q; c = measure q; }", {"1": 1.0}),
    "loop with a break": (
        "qubit q; bit c; for int i in [0:2] { reset q; h q; c = measure q; if (c) { break; } }",
        {"0": 0.125, "1": 0.875},
    ),
    "else and not equal": (
        """qubit[2] q; bit[2] c; bit d; h q[0]; c[0] = measure q[0];
        if (c != 1) { x q[1]; } else { z q[1]; } d = measure q[1];""",
        {"1 00": 0.5, "0 01": 0.5},
    ),
    "and": (
        """qubit[3] q; bit[2] c; bit d; h q[0]; h q[1]; c[0] = measure q[0]; c[1] = measure q[1];
        if (c[0] && !c[1]) { x q[2]; } d = measure q[2];""",
        {"0 00": 0.25, "1 01": 0.25, "0 10": 0.25, "0 11": 0.25},
    ),
    "branch that does nothing": (
        "qubit q; bit c; bit d; h q; c = measure q; if (c) { } d = measure q;",
        {"0 0": 0.5, "1 1": 0.5},
    ),
    "loop at the end, measured before": (
        "qubit[2] q; bit[2] c; x q[1]; c[1] = measure q[1]; while (!c[0]) { h q[0]; c[0] = measure q[0]; }",
        {"11": 1.0},
    ),
}


@pytest.mark.parametrize("method", AER_METHODS)
@pytest.mark.parametrize(("source", "expected"), DYNAMIC.values(), ids=DYNAMIC)
def test_dynamic_circuit_gives_its_distribution(
    engine: AerEngine, source: str, expected: dict[str, float], method: Method
):
    program = parse(V3 + source)
    if method == "stabilizer" and not program.features.clifford:
        with pytest.raises(EngineError, match="Clifford"):
            engine.run(program, shots=10, seed=3, method=method)
        return
    outcome = engine.run(program, shots=2000, seed=3, method=method)
    assert fits(outcome.counts, expected)
    assert outcome.fidelity_method == ("exact" if program.features.dynamic else "ideal_comparison")


def test_stabilizer_runs_clifford_rotations_on_many_qubits(engine: AerEngine):
    source = "qreg q[120]; rz(pi/2) q[0]; sx q[0]; rz(pi/2) q[0];" + "".join(
        f"h q[{i + 1}]; cp(pi) q[{i}], q[{i + 1}]; h q[{i + 1}];" for i in range(119)
    )
    counts = engine.run(parse(V2 + source), shots=1000, seed=2, method="stabilizer").counts
    assert fits(counts, {"0" * 120: 0.5, "1" * 120: 0.5})


@pytest.mark.parametrize("method", AER_METHODS)
def test_memory_is_the_counts_shot_by_shot_in_an_order_of_the_seed(engine: AerEngine, method: Method):
    program = parse(V2 + "qreg q[2]; creg c[2]; creg d[1]; h q; measure q->c;")
    run, again, other = (
        engine.run(program, shots=500, seed=seed, method=method, with_memory=True) for seed in (4, 4, 5)
    )
    assert Counter(run.memory) == run.counts
    assert run.memory == again.memory != other.memory
    assert run.memory is not None
    assert {len(shot) for shot in run.memory} == {4}
    assert list(run.memory) != sorted(run.memory)
    assert engine.run(program, shots=5, seed=4, method=method).memory is None


def test_memory_too_long_to_keep_is_refused(engine: AerEngine):
    program = parse(V2 + "qreg q[2]; creg c[100]; measure q[0]->c[0];")
    with pytest.raises(EngineError, match="fewer shots") as caught:
        engine.run(program, shots=LARGEST_MEMORY // 100 + 1, seed=1, method="statevector", with_memory=True)
    assert caught.value.reason == "OUT_OF_MEMORY"


def test_a_method_of_another_engine_is_refused_by_name(engine: AerEngine):
    with pytest.raises(EngineError, match="has no method decision_diagram; it has statevector") as caught:
        engine.run(parse(BELL), shots=1, seed=1, method="decision_diagram")
    assert caught.value.reason == "UNSUPPORTED"


def test_stabilizer_refuses_a_t_gate(engine: AerEngine):
    with pytest.raises(EngineError) as caught:
        engine.run(parse(V2 + "qreg q[1]; t q[0];"), shots=10, seed=1, method="stabilizer")
    assert caught.value.reason == "NOT_CLIFFORD"


def test_state_vector_refuses_what_memory_cannot_hold(engine: AerEngine):
    with pytest.raises(EngineError) as caught:
        engine.run(parse(V2 + "qreg q[30]; h q;"), shots=10, seed=1, method="statevector")
    assert caught.value.reason == "OUT_OF_MEMORY"


def test_matrix_product_state_refuses_entanglement_that_memory_cannot_hold(engine: AerEngine):
    layers = "".join(f"cx q[{i}], q[{i + 1}];" for _ in range(12) for i in range(39))
    with pytest.raises(EngineError) as caught:
        engine.run(parse(V2 + "qreg q[40]; ry(0.3) q;" + layers), shots=10, seed=1, method="matrix_product_state")
    assert caught.value.reason == "OUT_OF_MEMORY"


def test_matrix_product_state_runs_wide_and_shallow(engine: AerEngine):
    source = "qreg q[40]; h q[0];" + "".join(f"cx q[{i}], q[{i + 1}];" for i in range(39))
    counts = engine.run(parse(V2 + source), shots=500, seed=1, method="matrix_product_state").counts
    assert fits(counts, {"0" * 40: 0.5, "1" * 40: 0.5})


def test_memory_bound_covers_the_amplitudes():
    features = parse(V2 + "qreg q[25]; h q;").features
    assert memory_bytes(features, "statevector") >= 16 * 2**25
    assert memory_bytes(features, "stabilizer") < 2**20
    assert memory_bytes(features, "matrix_product_state") < 2**20


def test_available_memory_honours_a_control_group(tmp_path: Path):
    limit = tmp_path / "memory.max"
    limit.write_text("123456789\n")
    assert available_memory(limit) == 123456789
    limit.write_text("max\n")
    assert available_memory(limit) > 123456789


def test_few_shots_over_many_outcomes_claim_no_comparison(engine: AerEngine):
    outcome = engine.run(parse(V2 + "qreg q[10]; h q;"), shots=1024, seed=1, method="statevector")
    assert (outcome.fidelity, outcome.fidelity_method) == (1.0, "exact")


def test_probabilities_of_too_many_outcomes_are_left_out(engine: AerEngine):
    run = engine.run(parse(V2 + "qreg q[13]; h q;"), shots=1024, seed=1, method="statevector", with_probabilities=True)
    assert run.probabilities is None


def test_hellinger_fidelity_has_its_known_values():
    half = np.array([0.5, 0.5])
    assert hellinger_fidelity(half, np.array([0, 1]), np.array([50, 50])) == pytest.approx(1)
    assert hellinger_fidelity(half, np.array([0]), np.array([100])) == pytest.approx(0.5)
    assert hellinger_fidelity(np.array([1.0, 0.0]), np.array([1]), np.array([9])) == 0
    assert is_comparable(half, 20)
    assert not is_comparable(half, 19)


def test_sampling_never_draws_the_impossible():
    distribution = np.array([0.0, 0.3, 0.0, 0.7, 0.0])
    outcomes, counts = sample(distribution, 10_000, generator(1, "test"))
    assert outcomes.tolist() == [1, 3]
    assert chisquare(counts, [3000, 7000]).pvalue > 1e-6


def test_readout_turns_indices_to_rows_of_bits_and_back():
    readout = Readout((2, 5), 4, clbits=(1, 2, 3), places=(1, 0, 0))
    rows = readout.rows(np.arange(4))
    assert rows.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 1]]
    assert readout.indices(rows).tolist() == [0, 1, 2, 3]


def test_seeds_are_hashes_within_63_bits():
    seeds = {
        derive_seed("0193"),
        derive_seed("0194"),
        spread_seed(1, "aer"),
        spread_seed(2, "aer"),
        spread_seed(1, "x"),
    }
    assert len(seeds) == 5
    assert all(2**40 < seed <= LARGEST_SEED for seed in seeds)
    assert derive_seed("0193") == derive_seed("0193")


def test_state_vector_of_a_circuit_is_that_of_qiskit(engine: AerEngine):
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    for method in ("statevector", "matrix_product_state"):
        assert np.abs(np.vdot(Statevector(circuit).data, engine.statevector(circuit, method))) == pytest.approx(1)


def test_light_modules_import_no_quantum_library():
    code = (
        "import sys, json\n"
        "import services.execution.engines.engine, services.execution.engines.seeds\n"
        "import services.execution.programs.features, services.execution.programs.errors\n"
        "print(json.dumps([name for name in ('qiskit', 'qiskit_aer', 'numpy', 'pyscf') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
