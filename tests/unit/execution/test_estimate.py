"""circuit.estimate.v1 against exact expectation values."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm2
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SparsePauliOp, Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.primitives.expectation import expectation
from services.execution.algorithms.primitives.paulis import Pauli, settings_of, shares
from tests.unit.execution.devices import simulator
from tests.unit.execution.marketplace import Job, Noisy

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
TURN = HEAD + "input float a; qubit[2] q; ry(a) q[0]; cx q[0], q[1];"
BELL = HEAD + "qubit[2] q; h q[0]; cx q[0], q[1];"
H2 = {"II": -1.052373245772859, "IZ": 0.39793742484318045, "ZI": -0.39793742484318045, "ZZ": -0.01128010425623538}
H2 |= {"XX": 0.18093119978423156}
"""Hydrogen at 0.735 angstrom in STO-3G, two qubits by parity (Qiskit's tutorial): -1.857275 Ha, electrons alone."""


def terms(operator: dict[str, float]) -> dict:
    return {"terms": [{"pauli": text, "coefficient": value} for text, value in operator.items()]}


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("circuit.estimate.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_bell_pair_agrees_in_x_and_z_and_differs_in_y(job: Job):
    observables = [{"pauli": text} for text in ("XX", "YY", "ZZ", "IZ", "XI")]
    values = [one["value"] for one in job.run({"qasm": BELL, "observables": observables})["estimates"]]
    assert values[:3] == [1, -1, 1]
    assert values[3:] == pytest.approx([0, 0], abs=5 / np.sqrt(1000))


def test_ground_state_of_hydrogen_is_its_reference(job: Job):
    operator = SparsePauliOp.from_list(list(H2.items()))
    energy, states = np.linalg.eigh(operator.to_matrix())
    assert energy[0] == pytest.approx(-1.857275, abs=1e-6)
    angle = 2 * np.arctan2(states[2, 0].real, states[1, 0].real)
    source = HEAD + "input float a; qubit[2] q; ry(a) q[1]; x q[0]; cx q[1], q[0];"
    asked = {"qasm": source, "inputs": [{"a": angle}], "observables": [terms(H2)]}
    (exact,) = job.run({**asked, "precision": "exact"})["estimates"]
    assert exact["value"] == pytest.approx(energy[0], abs=1e-9)
    assert exact["standard_error"] is None
    (sampled,) = job.run(asked)["estimates"]
    assert 0 < sampled["standard_error"] < 0.01
    assert abs(sampled["value"] - energy[0]) < 5 * sampled["standard_error"]


def test_random_circuits_give_what_qiskit_computes(job: Job):
    random = np.random.default_rng(3)
    for seed in range(6):
        circuit = random_circuit(4, 5, max_operands=2, seed=seed)
        operator = {"".join(random.choice(list("IXYZ"), 4)): float(random.normal()) for _ in range(8)}
        expected = Statevector(circuit).expectation_value(SparsePauliOp.from_list(list(operator.items()))).real
        asked = {"qasm": qasm2.dumps(circuit), "observables": [terms(operator)]}
        (exact,) = job.run({**asked, "precision": "exact"})["estimates"]
        assert exact["value"] == pytest.approx(expected, abs=1e-9)
        (sampled,) = job.run(asked, seed=seed)["estimates"]
        assert abs(sampled["value"] - expected) < 5 * sampled["standard_error"] + 1e-9


def test_standard_error_is_the_spread_of_repeated_estimates(job: Job):
    asked = {"qasm": TURN, "inputs": [{"a": 0.7}], "observables": [terms({"ZZ": 1, "XX": -0.5, "IZ": 2})]}
    found = [job.run(asked, seed=seed, shots=1024)["estimates"][0] for seed in range(40)]
    errors = [one["standard_error"] for one in found]
    assert np.std([one["value"] for one in found], ddof=1) == pytest.approx(np.mean(errors), rel=0.3)


def test_strings_that_commute_qubit_by_qubit_share_a_setting_and_its_shots(job: Job):
    observables = [terms({"ZIZ": 1, "IZI": 1}), terms({"XXI": 2}), {"pauli": "IIZ", "coefficient": 0.1}]
    result = job.run({"qasm": HEAD + "qubit[3] q; h q;", "observables": observables})
    told = [(one["basis"], one["terms"]) for one in result["settings"]]
    assert told == [("XXZ", 2), ("ZZZ", 2)]
    assert sum(one["shots"] for one in result["settings"]) == 4096


def test_wide_states_are_measured_too(job: Job):
    source = HEAD + "qubit[40] q; h q[0]; for int i in [0:38] { cx q[i], q[i+1]; }"
    ends = "Z" + "I" * 38 + "Z"
    asked = {"qasm": source, "observables": [{"pauli": ends}, {"pauli": "X" * 40}, {"pauli": "Y" * 40}]}
    found = job.run(asked, device=simulator("stabilizer"))["estimates"]
    assert [one["value"] for one in found] == [1, 1, 1]


def test_a_constant_needs_no_circuit(job: Job):
    done = job.done({"qasm": BELL, "observables": [{"pauli": "II", "coefficient": 2.5}]})
    assert (done.result["estimates"][0]["value"], done.result["settings"], done.result["shots"]) == (2.5, [], 0)
    assert (done.fidelity, done.fidelity_method) == (1.0, "exact")


def test_a_noisy_device_is_measured_and_never_exact(job: Job):
    asked = {"qasm": BELL, "observables": [{"pauli": "ZZ"}]}
    done = job.done(asked, device=Noisy(0.5))
    assert done.result["estimates"][0]["value"] == pytest.approx(0.5, abs=0.1)
    assert (done.fidelity, done.fidelity_method) == (0.5, "calibration_estimate")
    with pytest.raises(ParameterError) as caught:
        job.done({**asked, "precision": "exact"}, device=Noisy(0.5))
    assert caught.value.path == "parameters.precision"


def test_features_are_those_of_the_circuits_that_run(job: Job):
    asked = {"qasm": TURN, "inputs": [{"a": 1}, {"a": 2}], "observables": [{"pauli": "XX"}, {"pauli": "ZZ"}]}
    features = job.features(asked)
    assert (features.circuit_count, features.measurement_count) == (4, 2)
    exact = job.features({**asked, "precision": "exact"})
    assert (exact.circuit_count, exact.clifford, exact.amplitudes) == (2, False, True)


def test_what_exact_values_take_is_told_beforehand(job: Job):
    wide = {"qasm": HEAD + "qubit[20] q; h q;", "precision": "exact"}
    texts = [f"{number:020b}".translate(str.maketrans("01", "XZ")) for number in range(100)]
    features = job.features({**wide, "observables": [terms(dict.fromkeys(texts, 1.0))]})
    assert 1_000 < features.classical_ms < 10_000


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"observables": []}, "parameters.observables"),
        ({"observables": [{"pauli": "ZZ"}, {"pauli": "Z"}]}, "parameters.observables[1].pauli"),
        ({"observables": [{"pauli": "ZW"}]}, "parameters.observables[0].pauli"),
        ({"observables": [{}]}, "parameters.observables[0]"),
        ({"observables": [{"pauli": "ZZ", **terms({"XX": 1})}]}, "parameters.observables[0]"),
        ({"observables": [{"coefficient": 2, **terms({"XX": 1})}]}, "parameters.observables[0].coefficient"),
        ({"observables": [terms({"XX": 1, "ZZZ": 1})]}, "parameters.observables[0].terms[1].pauli"),
        ({"observables": [terms({"XX": 1e10})]}, "parameters.observables[0].terms[0].coefficient"),
        ({"qasm": BELL + " bit[2] c; c = measure q;"}, "parameters.qasm"),
        ({"qasm": BELL + " reset q[0];"}, "parameters.qasm"),
        ({"qasm": HEAD + "input uint n; qubit[n] q;", "inputs": [{"n": 2}, {"n": 3}]}, "parameters.inputs"),
        ({"qasm": TURN, "inputs": [{"a": 1}] * 65}, "parameters.inputs"),
        ({"qasm": TURN, "inputs": [{"a": 1}, {"b": 1}]}, "parameters.qasm"),
        (
            {"qasm": HEAD + "qubit[21] q; h q;", "observables": [{"pauli": "Z" * 21}], "precision": "exact"},
            "parameters.precision",
        ),
        ({"precision": "guessed"}, "parameters.precision"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, change: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features({"qasm": BELL, "observables": [{"pauli": "ZZ"}], **change})
    assert caught.value.path == path


def test_too_many_settings_are_refused_by_their_number(job: Job):
    texts = [f"{number:09b}".translate(str.maketrans("01", "XY")) for number in range(300)]
    source = HEAD + "qubit[9] q; h q;"
    with pytest.raises(ParameterError, match="300 measurement settings"):
        job.features(
            {
                "qasm": source,
                "observables": [{"pauli": text} for text in texts[:63]] + [terms(dict.fromkeys(texts, 1.0))],
            }
        )
    many = {"qasm": HEAD + "input float a; qubit[9] q; ry(a) q;", "inputs": [{"a": 1}] * 30}
    with pytest.raises(ParameterError, match="circuits") as caught:
        job.features({**many, "observables": [terms(dict.fromkeys(texts[:50], 1.0))]})
    assert caught.value.path == "parameters.inputs"


def test_the_largest_result_has_a_picture(job: Job):
    observables = [{"pauli": "ZZ", "name": '<&>"' * 20}] * 64
    assert json.dumps(job.run({"qasm": TURN, "inputs": [{"a": 1}] * 16, "observables": observables}))


paulis = st.text("IXYZ", min_size=4, max_size=4)


@given(st.dictionaries(paulis, st.floats(0, 10), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_string_is_read_once_in_a_setting_that_commutes_with_it(weights: dict[str, float]):
    known = {Pauli.read(text): weight for text, weight in weights.items()}
    made = settings_of(known)
    assert sorted(string for setting in made for string in setting.strings) == sorted(known.keys() - {Pauli(0, 0)})
    for setting in made:
        basis = setting.basis.text(4)
        for string in setting.strings:
            assert all(letter in ("I", base) for letter, base in zip(string.text(4), basis, strict=True))
    if made:
        given_shots = shares(made, 100)
        assert (sum(given_shots), min(given_shots) >= 2) == (100, True)


@given(paulis, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_expectation_is_that_of_the_matrix(text: str, seed: int):
    state = np.random.default_rng(seed).normal(size=(16, 2)) @ [1, 1j]
    state /= np.linalg.norm(state)
    expected = np.vdot(state, SparsePauliOp(text).to_matrix() @ state).real
    assert Pauli.read(text).text(4) == text
    assert expectation(state, Pauli.read(text)) == pytest.approx(expected, abs=1e-12)
