"""Quantum kernels against state vectors, the support vector machine against scikit-learn's."""

import numpy as np
import pytest
from qiskit.quantum_info import Statevector
from sklearn.svm import SVC

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.kernel.feature_map import FeatureMap
from services.execution.algorithms.kernel.machine import train
from services.execution.algorithms.kernel.points import points_from
from tests.unit.execution.marketplace import Job, Noisy

CORNERS = [[-1.0, -1.1], [1.0, 0.9], [-1.1, 1.0], [0.9, -1.0], [-0.8, -1.0], [1.1, 1.1], [-1.0, 0.8], [1.2, -0.9]]
XOR = {"points": CORNERS, "labels": [0, 0, 1, 1, 0, 0, 1, 1]}
REQUEST = {"train": XOR, "test": {"points": [[1, 1], [1, -1]], "labels": [0, 1]}, "regularization": 10}


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("kernel.classifier.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_kernel_separates_what_no_line_separates(job: Job):
    result = job.run(REQUEST)
    assert (result["quantum"]["train_accuracy"], result["quantum"]["test_accuracy"]) == (1.0, 1.0)
    assert result["quantum"]["test_predictions"] == [0, 1]
    linear = SVC(kernel="linear", C=10).fit(CORNERS, XOR["labels"])
    assert linear.score(CORNERS, XOR["labels"]) < 1


def test_measured_kernel_is_the_exact_one_within_its_error(job: Job):
    result = job.run(REQUEST, shots=20_000)
    error = result["kernel"]["largest_standard_error"]
    assert error <= 0.5 / np.sqrt(20_000)
    assert result["reference"]["kernel_error"]["largest"] < 5 * error
    kernel = np.array(result["kernel"]["train"])
    assert (kernel == kernel.T).all()
    assert (np.diag(kernel) == 1).all()
    assert result["reference"]["exact_kernel"]["test_predictions"] == result["quantum"]["test_predictions"]


@pytest.mark.parametrize(("features", "repetitions"), [(1, 1), (3, 2), (5, 3)])
def test_states_are_those_of_the_circuits(features: int, repetitions: int):
    points = np.random.default_rng(features).normal(size=(4, features))
    feature_map = FeatureMap(repetitions, 0.8)
    circuits = [Statevector(feature_map.circuit(point)).data for point in points]
    kernel = [[abs(np.vdot(one, other)) ** 2 for other in circuits] for one in circuits]
    assert feature_map.exact(points, points) == pytest.approx(np.array(kernel), abs=1e-9)


def test_bandwidth_makes_points_alike_or_unlike():
    points = np.random.default_rng(1).normal(size=(6, 4))
    near, far = (FeatureMap(2, bandwidth).exact(points, points) for bandwidth in (0.02, 2))
    assert near.min() > 0.95
    assert np.median(far) < 0.2


@pytest.mark.parametrize("seed", range(8))
def test_machine_decides_as_that_of_scikit_learn(seed: int):
    random = np.random.default_rng(seed)
    count = int(random.integers(4, 41))
    points = random.normal(size=(count, 3))
    classes = np.where(points[:, 0] * points[:, 1] + random.normal(size=count) / 2 > 0, 1, -1)
    classes[:2] = 1, -1
    kernel = np.exp(-((points[:, None] - points[None]) ** 2).sum(axis=2) / 3)
    bound = 10 ** random.uniform(-2, 3)
    reference = SVC(C=bound, kernel="precomputed", tol=1e-8).fit(kernel, classes)
    found = train(kernel, classes, bound).decisions(kernel)
    assert found == pytest.approx(reference.decision_function(kernel), abs=1e-3)


def test_machine_bears_a_kernel_that_shots_have_bent():
    kernel = np.array([[1, 0.99, 0.2], [0.99, 1, 0.9], [0.2, 0.9, 1]])
    assert np.linalg.eigvalsh(kernel)[0] < -0.1
    machine = train(kernel, np.array([1, 1, -1]), 1.0)
    assert np.isfinite(machine.decisions(kernel)).all()
    assert machine.support_vectors >= 2


def test_features_are_brought_to_one_scale_by_the_training_points():
    points = points_from(
        {
            "train": {"points": [[1, 5], [3, 5], [5, 5]], "labels": [0, 1, 1]},
            "test": {"points": [[3, 7]], "labels": [0]},
        }
    )
    assert points.train.mean(axis=0) == pytest.approx([0, 0])
    assert points.train.std(axis=0) == pytest.approx([1, 0])
    assert points.test.tolist() == [[0, 0]]


def test_without_test_points_there_is_no_test(job: Job):
    quantum = job.run({"train": XOR})["quantum"]
    assert (quantum["test_accuracy"], quantum["test_predictions"]) == (None, [])


def test_noise_shows_in_the_error_of_the_kernel(job: Job):
    result = job.run({"train": XOR}, device=Noisy(0.4))
    assert result["reference"]["kernel_error"]["largest"] > 10 * result["kernel"]["largest_standard_error"]


def test_features_are_those_of_a_pair_and_count_the_pairs(job: Job):
    features, result = job.features(REQUEST), job.run(REQUEST)
    assert features.circuit_count == result["pairs"] == 28 + 16
    assert features.gate_count == result["circuit"]["gates"]


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({}, "parameters.train", "required"),
        ({"train": {"points": CORNERS, "labels": [0] * 8}}, "parameters.train.labels", "both"),
        ({"train": {"points": CORNERS, "labels": [0, 1, 1, 1]}}, "parameters.train.labels", "as many"),
        ({"train": {"points": [*CORNERS[:7], [1]], "labels": XOR["labels"]}}, "parameters.train.points[7]", "features"),
        ({"train": XOR, "test": {"points": [[1]], "labels": [1]}}, "parameters.test.points[0]", "features"),
        ({"train": XOR, "test": {"points": CORNERS * 5, "labels": [1] * 40}}, "parameters.test.points", "more than 40"),
        (
            {"train": {"points": [[1], [2], [3], [1] * 9], "labels": [0, 1, 0, 1]}},
            "parameters.train.points[3]",
            "at most 8",
        ),
        ({"train": XOR, "bandwidth": 0}, "parameters.bandwidth", "at least 0.01"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
