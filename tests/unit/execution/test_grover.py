"""Grover's search against the formula of its success, and its oracles against truth tables."""

import math

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.grover.circuit import search_circuit
from services.execution.algorithms.grover.problem import Problem, problem_from
from tests.unit.execution.marketplace import Job, Noisy

FORMULA = {"variables": 4, "clauses": [[1, 2, 3], [-1, 4], [-2, -4], [-3, 2, 1], [4]]}


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("grover.search.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize(
    ("marked", "iterations", "probability"),
    [(["101"], 2, 121 / 128), (["11"], 1, 1.0), (["1" * 10], 25, 0.99946), (["00", "01"], 0, 0.5)],
)
def test_success_is_that_of_theory(job: Job, marked: list[str], iterations: int, probability: float):
    result = job.run({"marked": marked})
    success = result["success_probability"]
    assert result["iterations"] == iterations
    assert success["theory"] == pytest.approx(probability, abs=1e-5)
    assert abs(success["measured"] - probability) < 5 * math.sqrt(probability * (1 - probability) / 4096) + 1e-9
    assert probability == 0.5 or result["found"]["is_solution"]


def test_classical_queries_are_the_mean_place_of_the_first_solution(job: Job):
    result = job.run({"marked": ["000", "110"]})
    places = [min(np.random.default_rng(seed).permutation(8)[:2]) + 1 for seed in range(5_000)]
    assert result["queries"]["best_classical"]["queries_expected"] == pytest.approx(np.mean(places), abs=0.1)
    assert job.run({"marked": ["1" * 8]})["queries"]["best_classical"]["queries_expected"] == 257 / 2


@pytest.mark.parametrize(
    "parameters",
    [{"marked": ["0110", "1001", "1111"]}, {"marked": ["01101"]}, {"marked": ["1"]}, {"formula": FORMULA}],
)
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_circuit_reaches_the_amplitudes_of_theory(parameters: dict, iterations: int):
    problem = problem_from(parameters)
    circuit = search_circuit(problem, iterations)
    circuit.remove_final_measurements()
    state = Statevector(circuit).data[: problem.size]  # every other qubit is back in |0>
    assert np.linalg.norm(state) == pytest.approx(1, abs=1e-9)
    weight = np.abs(state[list(problem.solutions)]) ** 2
    expected = problem.success(iterations) / len(problem.solutions)
    assert weight == pytest.approx(np.full(len(weight), expected), abs=1e-9)


def test_best_iterations_are_the_first_maximum():
    for solutions in range(1, 17):
        problem = Problem(6, tuple(range(solutions)), ())
        best = problem.best_iterations
        assert problem.success(best) >= max(problem.success(best + 1), problem.success(max(0, best - 1))) - 1e-12


def test_formula_is_solved_and_its_assignment_satisfies_it(job: Job):
    found = job.run({"formula": FORMULA})["found"]
    assert found["is_solution"]
    assert all(set(clause) & set(found["assignment"]) for clause in FORMULA["clauses"])


def test_formula_without_solution_finds_none(job: Job):
    result = job.run({"formula": {"variables": 2, "clauses": [[1], [-1]]}})
    assert (result["solutions"], result["found"]["is_solution"]) == (0, False)
    assert result["queries"]["quantum_expected"] is None
    assert result["success_probability"]["measured"] == 0


def test_noise_shows_in_the_measured_success(job: Job):
    done = job.done({"marked": ["10110"]}, device=Noisy(0.5))
    success = done.result["success_probability"]
    assert success["measured"] < 0.6
    assert success["theory"] > 0.99
    assert done.result["found"]["is_solution"]
    assert (done.fidelity, done.fidelity_method) == (0.5, "calibration_estimate")


def test_features_are_those_of_the_circuit(job: Job):
    features = job.features({"marked": ["1" * 12]})
    result = job.run({"marked": ["1" * 12], "iterations": 3})
    assert features.active_qubits == result["circuit"]["qubits"] == 13
    assert features.gate_count > 10 * result["circuit"]["gates"]


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"marked": ["01", "011"]}, "parameters.marked[1]"),
        ({"marked": ["012"]}, "parameters.marked[0]"),
        ({"marked": []}, "parameters.marked"),
        ({"marked": ["1" * 13]}, "parameters.marked[0]"),
        ({"marked": ["1"], "iterations": -1}, "parameters.iterations"),
        ({"formula": {"variables": 2, "clauses": [[1], [3]]}}, "parameters.formula.clauses[1]"),
        ({"formula": {"variables": 2, "clauses": [[0]]}}, "parameters.formula.clauses[0]"),
        ({"formula": {"variables": 2, "clauses": [[1, -1]]}}, "parameters.formula.clauses[0]"),
        ({"formula": {"variables": 9, "clauses": [[1]]}}, "parameters.formula.variables"),
        ({}, "parameters.marked"),
        ({"marked": ["1"], "formula": FORMULA}, "parameters.formula"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
