"""Phase estimation against diagonalisation, its circuits against matrices, its shares against the formula."""

import numpy as np
import pytest
from qiskit.quantum_info import Operator
from scipy.linalg import expm

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.qpe.estimation import amplitudes
from services.execution.algorithms.qpe.problem import problem_from
from services.execution.algorithms.qpe.unitary import hamiltonian, unitary_from
from tests.unit.execution.marketplace import Job, Noisy

HYDROGEN = {
    "kind": "pauli_sum",
    "terms": [
        {"pauli": pauli, "coefficient": coefficient}
        for pauli, coefficient in (
            ("II", -1.052373245772859),
            ("IZ", 0.39793742484318045),
            ("ZI", -0.39793742484318045),
            ("ZZ", -0.01128010425623538),
            ("XX", 0.18093119978423156),
        )
    ],
    "time": 1.5,
    "trotter_steps": 2,
}
NUCLEAR_REPULSION = 0.7199689944489797
"""Of H2 at 0.735 Å, in Hartree."""
SHIFT = [[[float(row == (column + 1) % 4), 0] for column in range(4)] for row in range(4)]
ROOT_OF_Y = [[[0.5, 0.5], [-0.5, -0.5]], [[0.5, 0.5], [0.5, 0.5]]]


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("qpe.phase.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_energy_of_hydrogen_is_that_of_full_configuration_interaction(job: Job):
    result = job.run({"unitary": HYDROGEN, "counting_qubits": 7})
    energy = result["energy"]
    assert energy["exact"] + NUCLEAR_REPULSION == pytest.approx(-1.137306, abs=1e-6)
    assert abs(energy["estimate"] - energy["exact"]) <= energy["error_bound"] < 0.05
    assert result["reference"]["within_bound"]


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.5, 1 / 3, 0.999])
def test_phase_of_a_gate_is_found_within_its_bound(job: Job, phase: float):
    result = job.run({"unitary": {"kind": "phase", "phase": phase}, "counting_qubits": 8})
    assert result["reference"]["best_classical"]["phase"] == pytest.approx(phase, abs=1e-12)
    assert abs(result["reference"]["error"]) <= result["error_bound"] == 1 / 256
    assert result["energy"] is None


def test_phase_on_the_grid_is_certain(job: Job):
    result = job.run({"unitary": {"kind": "phase", "phase": 0.625}, "counting_qubits": 3})
    assert (result["phase"], result["share"], result["reference"]["error"]) == (0.625, 1.0, 0.0)


@pytest.mark.parametrize(
    "parameters",
    [
        {"unitary": HYDROGEN, "counting_qubits": 5, "state": {"bits": "01"}},
        {"unitary": {"kind": "matrix", "rows": SHIFT}, "counting_qubits": 4, "state": {"bits": "10"}},
        {"unitary": {"kind": "matrix", "rows": ROOT_OF_Y}, "counting_qubits": 3, "state": {"eigenstate": 1}},
        {"unitary": {"kind": "phase", "phase": 0.3}, "counting_qubits": 4, "state": {"eigenstate": 0}},
    ],
)
def test_shares_are_those_of_theory(job: Job, parameters: dict):
    outcomes = job.run(parameters, shots=100_000)["outcomes"]
    for outcome in outcomes:
        spread = np.sqrt(outcome["expected"] * (1 - outcome["expected"]) / 100_000)
        assert abs(outcome["share"] - outcome["expected"]) < 5 * spread + 1e-9


def test_mixed_state_shows_every_phase_that_it_holds(job: Job):
    result = job.run({"unitary": {"kind": "matrix", "rows": SHIFT}, "counting_qubits": 3, "state": {"bits": "00"}})
    assert {outcome["phase"] for outcome in result["outcomes"]} == {0.0, 0.25, 0.5, 0.75}
    assert result["reference"]["error"] == pytest.approx(0, abs=1e-9)


def test_amplitudes_are_the_geometric_sum():
    found = amplitudes(0.29, 3)
    direct = [np.exp(2j * np.pi * np.arange(8) * (0.29 - m / 8)).mean() for m in range(8)]
    assert found == pytest.approx(np.array(direct), abs=1e-12)


@pytest.mark.parametrize("kind", [HYDROGEN, {"kind": "matrix", "rows": SHIFT}, {"kind": "phase", "phase": 0.3}])
def test_powers_are_controlled_powers_of_one_matrix(kind: dict):
    unitary = unitary_from({"unitary": kind, "counting_qubits": 3})
    for k, power in enumerate(unitary.powers):
        whole = Operator(power).data
        on = whole[1::2, 1::2]
        assert np.abs(whole[::2, ::2] * whole[0, 0].conj() - np.eye(len(on))).max() < 1e-9
        expected = np.linalg.matrix_power(unitary.applied, 1 << k)
        assert np.abs(on * whole[0, 0].conj() - expected).max() < 1e-9


def test_evolution_comes_nearer_with_its_steps_squared():
    terms = [(term["pauli"], term["coefficient"]) for term in HYDROGEN["terms"]]
    exact = expm(1.5j * hamiltonian(terms))
    errors = []
    for steps in (2, 4):
        unitary = unitary_from({"unitary": {**HYDROGEN, "trotter_steps": steps}, "counting_qubits": 1})
        assert np.abs(unitary.matrix - exact).max() < 1e-12
        errors.append(unitary.trotter_error)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_evolution_of_terms_that_commute_is_exact():
    terms = [{"pauli": "ZZYI", "coefficient": 0.4}, {"pauli": "IIYX", "coefficient": -0.2}]
    unitary = unitary_from({"unitary": {"kind": "pauli_sum", "terms": terms, "time": 2}, "counting_qubits": 1})
    assert unitary.trotter_error < 1e-12


def test_eigenstates_of_an_evolution_are_in_the_order_of_their_energies():
    phases = problem_from({"unitary": HYDROGEN, "counting_qubits": 1}).phases
    energies = (phases + 0.5) % 1 - 0.5
    assert (np.diff(energies) >= 0).all()


def test_noise_shows_in_the_share(job: Job):
    clean, noisy = (
        job.run({"unitary": {"kind": "phase", "phase": 0.625}, "counting_qubits": 3}, device=device)
        for device in (None, Noisy(0.4))
    )
    assert noisy["phase"] == clean["phase"]
    assert noisy["share"] < 0.7
    assert noisy["outcomes"][0]["expected"] == 1.0


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({"unitary": {"kind": "phase"}}, "parameters.unitary.phase", "required"),
        ({"unitary": {"kind": "phase", "phase": 0.3, "time": 1}}, "parameters.unitary.time", "not allowed"),
        ({"unitary": {"kind": "matrix", "rows": [[[1, 0], [1, 0]]] * 2}}, "parameters.unitary.rows", "unitary"),
        ({"unitary": {"kind": "matrix", "rows": [[[1, 0], [0, 0]]] * 3}}, "parameters.unitary.rows", "4 by 4"),
        ({"unitary": {**HYDROGEN, "time": 2}}, "parameters.unitary.time", "pi"),
        ({"unitary": {**HYDROGEN, "trotter_steps": 16}, "counting_qubits": 10}, "parameters.counting_qubits", "gates"),
        (
            {"unitary": {**HYDROGEN, "terms": [*HYDROGEN["terms"], {"pauli": "Z", "coefficient": 0.1}]}},
            "parameters.unitary.terms[5].pauli",
            "letters",
        ),
        ({"unitary": HYDROGEN, "state": {"bits": "1"}}, "parameters.state.bits", "2 bits"),
        ({"unitary": HYDROGEN, "state": {"eigenstate": 4}}, "parameters.state.eigenstate", "less than 4"),
        ({"unitary": HYDROGEN, "state": {"eigenstate": 0, "bits": "01"}}, "parameters.state.bits", "not allowed"),
        ({"unitary": HYDROGEN, "counting_qubits": 11}, "parameters.counting_qubits", "at most 10"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
