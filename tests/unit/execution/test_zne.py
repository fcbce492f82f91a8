"""Folding against the identity, fits against their formulas, and the whole against a device that depolarises."""

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Operator

from services.execution.algorithms.algorithm import AlgorithmError, ParameterError
from services.execution.algorithms.experiment import program_from
from services.execution.algorithms.zne.extrapolation import MODELS, extrapolated, richardson_weights
from services.execution.algorithms.zne.folding import folded
from tests.unit.execution.depolarised import Depolarised
from tests.unit.execution.marketplace import Job

NEIGHBOURS = [{"pauli": "IIZZ"}, {"pauli": "IZZI"}, {"pauli": "ZZII"}]


def quench() -> QuantumCircuit:
    """Three steps of an Ising chain of four spins."""
    circuit = QuantumCircuit(4)
    for _ in range(3):
        for qubit in range(3):
            circuit.cx(qubit, qubit + 1)
            circuit.rz(-0.5, qubit + 1)
            circuit.cx(qubit, qubit + 1)
        circuit.rx(0.5, range(4))
    return circuit


QUENCH = qasm2.dumps(quench())
BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("zne.estimate.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize("how", ["global", "local"])
@pytest.mark.parametrize("scale", [1, 1.5, 2, 3, 4.2, 5])
def test_folded_circuit_does_the_same_with_as_many_times_the_gates(how: str, scale: float):
    circuit = quench()
    circuit.sx(0)
    circuit.csx(1, 2)
    found = folded(circuit, scale, how)
    assert Operator(found.circuit).equiv(Operator(circuit))
    gates = [one.size(lambda item: item.name != "barrier") for one in (circuit, found.circuit)]
    assert gates[1] == pytest.approx(gates[0] * found.scale)
    assert found.scale == pytest.approx(scale, abs=1.001 / gates[0])


@pytest.mark.parametrize("how", ["global", "local"])
def test_barriers_keep_what_was_folded_through_a_compiler(how: str):
    from qiskit import transpile

    program = program_from(folded(quench(), 3, how).circuit)
    before = quench().count_ops()["cx"]
    fitted = transpile(program.circuit, basis_gates=["rz", "sx", "x", "cx"], optimization_level=3)
    assert fitted.count_ops()["cx"] == 3 * before


def test_richardson_weights_are_those_of_the_polynomial():
    assert richardson_weights(np.array([1.0, 3.0, 5.0])) == pytest.approx([15 / 8, -10 / 8, 3 / 8])
    assert richardson_weights(np.array([1.0, 2.0])) == pytest.approx([2, -1])


@pytest.mark.parametrize(
    ("model", "law", "start"),
    [
        ("linear", lambda x: 0.9 - 0.1 * x, 0.9),
        ("richardson", lambda x: 0.9 - 0.1 * x + 0.02 * x**2, 0.9),
        ("exponential", lambda x: 0.25 + 0.6 * np.exp(-0.2 * x), 0.85),
        ("exponential", lambda x: 0.25 - 0.6 * np.exp(-0.2 * x), -0.35),
    ],
)
def test_fit_finds_its_own_law_and_draws_it(model: str, law: object, start: float):
    scales = np.array([1.0, 3.0, 5.0])
    trend = extrapolated(model, scales, law(scales), np.array([0.01, 0.02, 0.02]), 0.25)
    assert trend.value == pytest.approx(start)
    assert [trend.curve(x) for x in (0.0, 1.0, 2.0)] == pytest.approx([law(0.0), law(1.0), law(2.0)])


@pytest.mark.parametrize("model", MODELS)
def test_error_bar_is_the_spread_of_repeated_fits(model: str):
    random = np.random.default_rng(4)
    scales, errors = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.01, 0.012, 0.015, 0.02])
    truth = 0.8 * np.exp(-0.1 * scales)
    fits = [extrapolated(model, scales, truth + errors * random.normal(size=4), errors, 0.0) for _ in range(500)]
    spread = np.std([fit.value for fit in fits])
    assert np.mean([fit.standard_error for fit in fits]) == pytest.approx(spread, rel=0.15)


def test_exponential_is_refused_where_values_change_sign():
    assert extrapolated("exponential", np.array([1.0, 3.0]), np.array([0.1, -0.1]), np.array([0.1, 0.1]), 0.0) is None


@pytest.mark.parametrize("folding", ["global", "local"])
@pytest.mark.parametrize("extrapolation", MODELS)
def test_extrapolated_value_beats_the_raw_one_on_a_noisy_device(job: Job, folding: str, extrapolation: str):
    parameters = {"qasm": QUENCH, "observable": NEIGHBOURS, "folding": folding, "extrapolation": extrapolation}
    done = job.done(parameters, device=Depolarised(0.01), shots=20_000)
    reference = done.result["reference"]
    assert abs(reference["raw_error"]) > 8 * done.result["raw"]["standard_error"]
    assert abs(reference["mitigated_error"]) < 0.5 * abs(reference["raw_error"])
    values = [point["value"] for point in done.result["points"]]
    assert values == sorted(values, reverse=True)
    assert (done.result["notes"], done.fidelity_method) == ([], "calibration_estimate")


def test_exponential_is_within_its_error_bar_of_a_depolarised_truth(job: Job):
    parameters = {"qasm": QUENCH, "observable": NEIGHBOURS, "scale_factors": [1, 2, 3]}
    done = job.run(parameters, device=Depolarised(0.01), shots=20_000)
    assert abs(done["reference"]["mitigated_error"]) < 4 * done["mitigated"]["standard_error"]


def test_device_without_noise_is_told_and_still_measured(job: Job):
    result = job.run({"qasm": BELL, "observable": [{"pauli": "XX"}, {"pauli": "ZZ"}, {"pauli": "YY"}]})
    assert any("no noise" in note for note in result["notes"])
    assert result["raw"]["value"] == pytest.approx(1.0)
    assert result["mitigated"]["value"] == pytest.approx(1.0)
    assert result["measurement_settings"] == 3
    assert result["reference"]["best_classical"]["value"] == pytest.approx(1.0)


def test_observable_is_the_sum_of_its_terms_with_its_constant(job: Job):
    terms = [{"pauli": "II", "coefficient": 2}, {"pauli": "XX", "coefficient": 0.5}, {"pauli": "XI"}]
    result = job.run({"qasm": BELL, "observable": terms}, shots=100_000)
    assert result["measurement_settings"] == 1
    assert result["reference"]["best_classical"]["value"] == pytest.approx(2.5)
    assert result["raw"]["value"] == pytest.approx(2.5, abs=5 * result["raw"]["standard_error"])


def test_single_shot_is_refused(job: Job):
    with pytest.raises(AlgorithmError, match="at least 2"):
        job.run({"qasm": BELL, "observable": [{"pauli": "ZZ"}]}, shots=1)


def test_values_around_zero_fall_back_to_the_line(job: Job):
    results = [job.run({"qasm": BELL, "observable": [{"pauli": "XI"}]}, seed=seed) for seed in range(4)]
    fallen = [result for result in results if result["fits"]["exponential"] is None]
    assert fallen
    for result in fallen:
        assert result["mitigated"]["extrapolation"] == "linear"
        assert any("change sign" in note for note in result["notes"])


def test_features_are_those_of_the_most_folded_circuit(job: Job):
    parameters = {"qasm": QUENCH, "observable": [{"pauli": "ZZZZ"}, {"pauli": "XXXX"}], "scale_factors": [1, 3]}
    features, result = job.features(parameters), job.run(parameters)
    assert (features.gate_count, features.depth) == (result["circuit"]["gates"], result["circuit"]["depth"])
    assert features.circuit_count == 4


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"qasm": "OPENQASM 2.0; qreg q[1]; h q[0];"}, "parameters.qasm"),
        ({"qasm": BELL.replace("q -> c;", "q[0] -> c[0]; h q[0];")}, "parameters.qasm"),
        ({"observable": [{"pauli": "ZZ"}, {"pauli": "ZZZ"}]}, "parameters.observable[1].pauli"),
        ({"observable": [{"pauli": "ZA"}]}, "parameters.observable[0].pauli"),
        ({"observable": [{"pauli": "II"}]}, "parameters.observable"),
        ({"observable": [{"pauli": "ZZ"}, {"pauli": "ZZ", "coefficient": -1}]}, "parameters.observable"),
        ({"observable": []}, "parameters.observable"),
        ({"scale_factors": [1]}, "parameters.scale_factors"),
        ({"scale_factors": [0.5, 1]}, "parameters.scale_factors[0]"),
        ({"scale_factors": [1, 1.1]}, "parameters.scale_factors"),
        ({"folding": "random"}, "parameters.folding"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, changes: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features({"qasm": BELL, "observable": [{"pauli": "ZZ"}]} | changes)
    assert caught.value.path == path


def test_circuits_too_long_to_fold_are_refused_before_they_are(job: Job):
    qasm = BELL.replace("measure q -> c;", "x q[0];" * 9_000)
    with pytest.raises(ParameterError, match="at most 100000"):
        job.features({"qasm": qasm, "observable": [{"pauli": "ZZ"}], "scale_factors": [1, 15]})
