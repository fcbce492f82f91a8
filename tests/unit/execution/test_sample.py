"""circuit.sample.v1, and what circuit.openqasm.v1 gives besides counts."""

from collections import Counter

import numpy as np
import pytest
from qiskit import qasm3
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError, ParameterError
from services.execution.algorithms.primitives import sample
from tests.unit.execution.devices import simulator
from tests.unit.execution.marketplace import Job, Noisy

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
TURN = HEAD + "input float a; qubit[2] q; bit[2] c; ry(a) q[1]; c = measure q;"
STATE = HEAD + "qubit[3] q; h q[0]; t q[0]; cx q[0], q[2]; ry(0.3) q[1];"
HEAD_2 = 'OPENQASM 2.0; include "qelib1.inc"; '
BELL = HEAD_2 + "qreg q[2]; creg a[1]; creg b[1]; h q[0]; cx q[0],q[1]; measure q[0]->a[0]; measure q[1]->b[0];"
LONG = HEAD_2 + "qreg q[250]; " + "h q; " * 220


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("circuit.sample.v1")


@pytest.fixture(scope="module")
def single() -> Job:
    return Job("circuit.openqasm.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_each_set_of_inputs_is_a_circuit_of_its_own(job: Job):
    angles = [0.0, np.pi, 1.0]
    results = job.run({"circuits": [{"qasm": TURN, "inputs": [{"a": a} for a in angles]}, {"qasm": BELL}]})["results"]
    assert [(one["circuit_index"], one["input_set"], one["name"]) for one in results] == [
        *((0, index, "circuit 0") for index in range(3)),
        (1, 0, "circuit 1"),
    ]
    assert [one["counts"].get("10", 0) / 4096 for one in results[:3]] == pytest.approx(
        [0, 1, np.sin(0.5) ** 2], abs=5 * 0.5 / 64
    )
    assert set(results[3]["counts"]) == {"0 0", "1 1"}


def test_a_circuit_alone_is_repeated_by_its_seed(job: Job, single: Job):
    results = job.run({"circuits": [{"qasm": BELL}, {"qasm": BELL}]})["results"]
    assert results[0]["counts"] != results[1]["counts"]
    for one in results:
        assert single.run({"qasm": BELL}, seed=int(one["seed"]))["counts"] == one["counts"]


def test_inputs_of_a_single_circuit_are_bound_too(single: Job):
    assert single.run({"qasm": TURN, "inputs": {"a": np.pi}})["counts"] == {"10": 4096}
    for inputs, path in (({"a": 1, "b": 1}, "parameters.inputs"), ({}, "parameters.qasm")):
        with pytest.raises(ParameterError) as caught:
            single.features({"qasm": TURN, "inputs": inputs})
        assert caught.value.path == path


def test_quasi_probabilities_are_the_shares_of_the_shots(job: Job):
    (one,) = job.run({"circuits": [{"qasm": BELL}]})["results"]
    assert one["quasi_probabilities"] == {text: count / 4096 for text, count in one["counts"].items()}
    (one,) = job.run({"circuits": [{"qasm": BELL}], "quasi_probabilities": False})["results"]
    assert one["quasi_probabilities"] is None


@pytest.mark.parametrize("name", ["circuit.sample.v1", "circuit.openqasm.v1"])
def test_memory_has_the_outcome_of_every_shot(name: str, job: Job, single: Job):
    asked = {"memory": True}
    one = (
        single.run({"qasm": BELL, **asked})
        if name == "circuit.openqasm.v1"
        else job.run({"circuits": [{"qasm": BELL}], **asked})["results"][0]
    )
    assert len(one["memory"]) == 4096
    assert Counter(one["memory"]) == one["counts"]


def test_state_is_that_before_the_measurements(job: Job, single: Job):
    expected = Statevector(qasm3.loads(STATE)).data
    measured = STATE + " bit[1] c; c[0] = measure q[1];"
    for told in (
        single.run({"qasm": STATE, "statevector": True})["statevector"],
        single.run({"qasm": measured, "statevector": True})["statevector"],
        job.run({"circuits": [{"qasm": STATE}], "statevector": True})["results"][0]["statevector"],
    ):
        assert np.array(told) @ [1, 1j] == pytest.approx(expected, abs=1e-12)


def test_a_clifford_circuit_whose_state_is_asked_is_not_routed_to_a_tableau(job: Job, single: Job):
    assert single.features({"qasm": BELL}).clifford
    assert not single.features({"qasm": BELL, "statevector": True}).clifford
    assert not job.features({"circuits": [{"qasm": BELL}], "statevector": True}).clifford


def test_features_bound_all_circuits_together(job: Job):
    wide = HEAD + "qubit[5] q; h q;"
    features = job.features({"circuits": [{"qasm": TURN, "inputs": [{"a": 1}, {"a": 2}]}, {"qasm": wide}]})
    assert (features.circuit_count, features.num_qubits, features.gate_count, features.clifford) == (3, 5, 5, False)
    assert features.gates == {"h": 5, "measure": 5, "ry": 1}


def test_a_noisy_device_gives_counts_and_its_fidelity_but_no_state(job: Job, single: Job):
    done = job.done({"circuits": [{"qasm": BELL}]}, device=Noisy(0.5))
    assert (done.fidelity, done.fidelity_method) == (0.5, "calibration_estimate")
    for each, parameters in ((job, {"circuits": [{"qasm": BELL}]}), (single, {"qasm": BELL})):
        with pytest.raises(ParameterError) as caught:
            each.done({**parameters, "statevector": True}, device=Noisy(0.5))
        assert caught.value.path == "parameters.statevector"


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"circuits": []}, "parameters.circuits"),
        ({"circuits": [{"qasm": BELL}, {"qasm": "OPENQASM 2.0; h q[0];"}]}, "parameters.circuits[1].qasm"),
        ({"circuits": [{"qasm": TURN, "inputs": [{"a": 1}, {"b": 1}]}]}, "parameters.circuits[0].qasm"),
        ({"circuits": [{"qasm": TURN, "inputs": [{"a": 1}, {"a": 1, "b": 1}]}]}, "parameters.circuits[0].inputs[1]"),
        ({"circuits": [{"qasm": TURN, "inputs": [{"a": "1"}]}]}, "parameters.circuits[0].inputs[0].a"),
        ({"circuits": [{"qasm": TURN}]}, "parameters.circuits[0].qasm"),
        ({"circuits": [{"qasm": BELL}] * 60 + [{"qasm": TURN, "inputs": [{"a": 1}] * 5}]}, "parameters.circuits"),
        ({"circuits": [{"qasm": LONG}] * 2}, "parameters.circuits"),
        ({"circuits": [{"qasm": HEAD + "qubit[11] q; h q;"}], "statevector": True}, "parameters.statevector"),
        ({"circuits": [{"qasm": HEAD + "qubit q; reset q;"}], "statevector": True}, "parameters.statevector"),
        ({"circuits": [{"qasm": BELL, "shots": 7}]}, "parameters.circuits[0].shots"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path


def test_results_that_are_too_long_say_what_to_do(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sample, "LARGEST_TEXT", 1000)
    with pytest.raises(AlgorithmError, match="use fewer shots"):
        job.done({"circuits": [{"qasm": BELL}], "memory": True}, device=simulator("statevector"))
