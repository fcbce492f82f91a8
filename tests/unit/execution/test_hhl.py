"""Linear systems against numpy's solutions, the circuit against the formula of its state."""

import dataclasses

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError, ParameterError
from services.execution.algorithms.hhl.circuit import readout_circuits, settings_of
from services.execution.algorithms.hhl.reading import Reading
from services.execution.algorithms.hhl.system import system_from
from services.execution.algorithms.hhl.tomography import density_from, leading
from tests.unit.execution.marketplace import Job, Noisy

ON_THE_CLOCK = {"matrix": [[1, -1 / 3], [-1 / 3, 1]], "vector": [1, 0], "clock_qubits": 3}
"""Eigenvalues 2/3 and 4/3: the clock reads both exactly."""
INDEFINITE = {"matrix": [[2, 1], [1, -3]], "vector": [1, 2], "clock_qubits": 5}
COMPLEX = {"matrix": [[2, [0, -0.5]], [[0, 0.5], 1.5]], "vector": [1, [0, 1]], "clock_qubits": 5}


def four_by_four(*eigenvalues: float) -> dict:
    random = np.random.default_rng(8)
    basis, _ = np.linalg.qr(random.normal(size=(4, 4)) + 1j * random.normal(size=(4, 4)))
    matrix = (basis * np.array(eigenvalues)) @ basis.conj().T
    rows = [[[float(one.real), float(one.imag)] for one in row] for row in matrix]
    return {"matrix": rows, "vector": [1, 0.5, [0, 1], -1], "clock_qubits": 6}


FOUR = four_by_four(1, 2, 3, 4)
EVERY = [ON_THE_CLOCK, INDEFINITE, COMPLEX, FOUR, four_by_four(-1, 2.2, -3.1, 4)]


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("hhl.linear.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize("parameters", EVERY)
def test_circuit_prepares_the_state_of_the_formula(parameters: dict):
    system = system_from(parameters)
    circuit = readout_circuits(system)[-1]  # the last setting is Z on every qubit
    circuit.remove_final_measurements()
    state = Statevector(circuit).data.reshape(2, 1 << system.clock, -1)[1, 0]
    prepared = system.prepared()
    assert np.linalg.norm(state) == pytest.approx(np.linalg.norm(prepared), abs=1e-9)
    assert abs(np.vdot(state, prepared)) == pytest.approx(np.linalg.norm(prepared) ** 2, abs=1e-9)


@pytest.mark.parametrize("parameters", [ON_THE_CLOCK, INDEFINITE, COMPLEX, FOUR])
def test_solution_is_that_of_numpy_within_its_error(job: Job, parameters: dict):
    result = job.run(parameters, shots=16_384)
    found, exact = (
        np.array(pairs) @ [1, 1j] for pairs in (result["solution"], result["reference"]["best_classical"]["solution"])
    )
    system = system_from(parameters)
    assert exact == pytest.approx(np.linalg.solve(system.matrix, system.right), abs=1e-12)
    assert result["fidelity"] > 0.998
    assert result["fidelity_theory"] > 0.999
    assert np.abs(found - exact).max() < 6 * max(result["solution_standard_error"]) + 0.02 * np.abs(exact).max()
    assert result["relative_error"] == pytest.approx(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    success = result["success_probability"]
    assert abs(success["measured"] - success["theory"]) < 5 * success["standard_error"] + 1e-9


def test_eigenvalues_on_the_clock_are_inverted_exactly(job: Job):
    result = job.run(ON_THE_CLOCK)
    assert result["fidelity_theory"] == pytest.approx(1, abs=1e-12)
    assert result["success_probability"]["theory"] == pytest.approx(5 / 8)  # (1 + 1/4) / 2
    assert result["reference"]["best_classical"]["solution"] == [pytest.approx([1.125, 0]), pytest.approx([0.375, 0])]


def test_longer_clocks_come_nearer_to_the_solution():
    fidelities = []
    for clock in (4, 5, 6, 7):
        system = system_from({"matrix": [[1.1, 0.2], [0.2, 0.45]], "vector": [1, -1], "clock_qubits": clock})
        prepared, exact = system.prepared(), system.solution
        fidelities.append(abs(np.vdot(prepared, exact)) / np.linalg.norm(prepared) / np.linalg.norm(exact))
    assert fidelities[-1] > max(fidelities[:2])
    assert 1 - fidelities[-1] < 1e-4


@pytest.mark.parametrize("qubits", [1, 2])
def test_tomography_returns_the_state_that_was_measured(qubits: int):
    random = np.random.default_rng(qubits)
    state = random.normal(size=1 << qubits) + 1j * random.normal(size=1 << qubits)
    state /= np.linalg.norm(state)
    rotations = {"X": np.array([[1, 1], [1, -1]]) / np.sqrt(2), "Z": np.eye(2)}
    rotations["Y"] = rotations["X"] @ np.diag([1, -1j])
    counts = {}
    for setting in settings_of(qubits):
        turned = state.reshape((2,) * qubits)  # the first axis is the highest qubit, as in a setting's letters
        for axis, letter in enumerate(setting):
            turned = np.moveaxis(np.tensordot(rotations[letter], turned, axes=(1, axis)), 0, axis)
        counts[setting] = {k: round(1e9 * p) for k, p in enumerate(np.abs(turned.ravel()) ** 2)}
    found, purity = leading(density_from(counts, qubits))
    assert abs(np.vdot(found, state)) == pytest.approx(1, abs=1e-6)
    assert purity == pytest.approx(1, abs=1e-6)


def test_error_bars_are_those_of_repetitions(job: Job):
    again = [job.run(ON_THE_CLOCK, seed=seed) for seed in range(8)]
    first = np.array([np.array(one["solution"]) @ [1, 1j] for one in again])[:, 0]
    spread = np.sqrt(np.mean(np.abs(first - first.mean()) ** 2))
    assert 1 / 3 < spread / np.mean([one["solution_standard_error"][0] for one in again]) < 3


def test_noise_shows_in_the_purity_and_the_solution(job: Job):
    done = job.done(ON_THE_CLOCK, device=Noisy(0.9))
    assert done.result["tomography"]["largest_eigenvalue"] < 0.9
    clean = job.run(ON_THE_CLOCK)
    assert done.result["relative_error"] > clean["relative_error"]


def test_without_success_there_is_no_solution():
    system = system_from(ON_THE_CLOCK)
    with pytest.raises(AlgorithmError, match="no shot succeeded"):
        Reading.of(system, {setting: {} for setting in settings_of(1)}, 3)


def test_scale_of_the_system_does_not_matter():
    system = system_from(FOUR)
    larger = dataclasses.replace(system, matrix=1e5 * system.matrix, values=1e5 * system.values)
    assert larger.prepared() == pytest.approx(system.prepared(), abs=1e-12)


def test_features_are_those_of_the_longest_setting(job: Job):
    features, result = job.features(FOUR), job.run(FOUR, shots=1024)
    assert features.circuit_count == result["tomography"]["settings"] == 9
    assert features.gate_count == result["circuit"]["gates"]
    assert job.features({**FOUR, "clock_qubits": 7}).active_qubits == job.algorithm.facts.max_qubits


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({**ON_THE_CLOCK, "matrix": [[1, 2], [3, 4]]}, "parameters.matrix", "Hermitian"),
        ({**ON_THE_CLOCK, "matrix": [[1, 1], [1, 1]]}, "parameters.matrix", "singular"),
        ({**ON_THE_CLOCK, "matrix": [[0, 0], [0, 0]]}, "parameters.matrix", "singular"),
        ({**ON_THE_CLOCK, "matrix": [[1, 0], [0, 9]]}, "parameters.matrix", "condition number 9"),
        ({**ON_THE_CLOCK, "matrix": [[1, 0, 0]] * 3}, "parameters.matrix", "2 by 2 or 4 by 4"),
        ({**ON_THE_CLOCK, "vector": [0, 0]}, "parameters.vector", "must not be 0"),
        ({**ON_THE_CLOCK, "vector": [1, 0, 0]}, "parameters.vector", "2 elements"),
        ({**ON_THE_CLOCK, "clock_qubits": 8}, "parameters.clock_qubits", "at most 7"),
        ({"matrix": [[1, 0], [0, 1]]}, "parameters.vector", "required"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
