"""Chemistry against PySCF, the determinant picture against the circuit, samples against the exact energy."""

import dataclasses
import json

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp, Statevector

from services.execution.algorithms.facts import AlgorithmId
from services.execution.algorithms.listing import load_catalogue
from services.execution.algorithms.vqe.ansatz import Ansatz
from services.execution.algorithms.vqe.describer import FEATURES_FILE
from services.execution.algorithms.vqe.estimate import estimate
from services.execution.algorithms.vqe.fermions import hamiltonian
from services.execution.algorithms.vqe.molecules import REFERENCE, Name, molecule_from
from services.execution.algorithms.vqe.observable import Observable, observable_of
from services.execution.algorithms.vqe.runner import Solution, VqeRunner, solve
from services.execution.algorithms.vqe.sector import Sector
from services.execution.engines.engine import EngineError
from services.execution.programs.measure import features_of
from tests.unit.execution.devices import simulator

FCI = {"H2": -1.137306, "LiH": -7.882402, "H2O": -75.012759}
HARTREE_FOCK = {"H2": -1.116999, "LiH": -7.862024, "H2O": -74.963120}
NAMES = list(FCI)


def quiet(_part: float, _word: str) -> None:
    pass


@pytest.fixture(scope="module")
def solutions() -> dict[str, Solution]:
    return {name: solve(molecule, progress=quiet) for name, molecule in REFERENCE.items()}


@pytest.fixture(scope="module")
def runner() -> VqeRunner:
    return VqeRunner()


@pytest.mark.parametrize("name", NAMES)
def test_references_are_those_of_the_literature(solutions: dict[str, Solution], name: str):
    space = solutions[name].space
    assert space.fci_energy == pytest.approx(FCI[name], abs=2e-6)
    assert space.hartree_fock_energy == pytest.approx(HARTREE_FOCK[name], abs=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_exact_energy_is_within_a_millihartree_of_fci_and_never_below(solutions: dict[str, Solution], name: str):
    solution = solutions[name]
    error = solution.optimum.energy - solution.space.fci_energy
    assert -1e-9 < error < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_determinant_matrix_is_the_pauli_operator_in_the_sector(solutions: dict[str, Solution], name: str):
    solution = solutions[name]
    operator = hamiltonian(solution.space).to_matrix(sparse=True).tocsr()
    places = solution.sector.determinants
    block = operator[places][:, places].toarray()
    assert np.abs(block - solution.matrix).max() < 1e-8
    first = solution.sector.hartree_fock
    assert solution.matrix[first, first] == pytest.approx(solution.space.hartree_fock_energy, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_circuit_prepares_the_state_of_the_determinant_picture(solutions: dict[str, Solution], name: str):
    solution = solutions[name]
    state = Statevector(solution.circuit).data
    overlap = np.vdot(solution.optimum.state, state[solution.sector.determinants])
    assert abs(overlap) == pytest.approx(1, abs=1e-9)
    assert solution.energy_of(state) == pytest.approx(solution.optimum.energy, abs=1e-8)


def test_gradient_is_that_of_finite_differences(solutions: dict[str, Solution]):
    solution = solutions["LiH"]
    ansatz = Ansatz(solution.sector, solution.excitations)
    angles = np.random.default_rng(5).normal(size=len(solution.excitations))
    _, gradient = ansatz.energy_and_gradient(angles, solution.matrix)
    for k, derivative in enumerate(gradient):
        step = np.zeros_like(angles)
        step[k] = 1e-5
        ahead, behind = (ansatz.energy_and_gradient(angles + sign * step, solution.matrix)[0] for sign in (1, -1))
        assert derivative == pytest.approx((ahead - behind) / 2e-5, abs=1e-7)


def test_ansatz_keeps_its_norm_at_any_angles(solutions: dict[str, Solution]):
    solution = solutions["H2O"]
    angles = np.random.default_rng(6).normal(size=len(solution.excitations))
    state = Ansatz(solution.sector, solution.excitations).state(angles)
    assert np.linalg.norm(state) == pytest.approx(1, abs=1e-12)


def test_sector_moves_anticommute():
    sector = Sector.of(3, 2)
    ahead, behind = sector.moves([0, 1], [2, 1]), sector.moves([1, 0], [2, 1])
    assert (ahead.sources == behind.sources).all()
    assert (ahead.signs == -behind.signs).all()


def test_groups_hold_every_term_once_and_commute_qubit_by_qubit(solutions: dict[str, Solution]):
    operator = hamiltonian(solutions["LiH"].space)
    observable = observable_of(operator)
    assert sum(len(group.supports) for group in observable.groups) + 1 == len(operator)
    held = [c for group in observable.groups for c in group.coefficients]
    assert sum(map(abs, held)) + abs(observable.constant) == pytest.approx(np.abs(operator.coeffs).sum())
    commuting = SparsePauliOp(["XXI", "IXZ", "ZII"], [3, 2, 1])
    assert [len(group.supports) for group in observable_of(commuting).groups] == [2, 1]


def test_shares_add_up_and_leave_no_group_without_a_variance():
    observable = observable_of(SparsePauliOp(["XX", "ZZ", "YY", "II"], [5, 0.001, 1, 7]))
    shares = observable.shares(1001)
    assert sum(shares) == 1001
    assert min(shares) >= 2
    assert shares[0] == max(shares)
    with pytest.raises(ValueError, match="too few"):
        observable.shares(5)


@pytest.mark.parametrize("name", NAMES)
def test_sampled_energy_is_unbiased_and_its_error_bar_honest(solutions: dict[str, Solution], name: str):
    solution = solutions[name]
    observable = observable_of(hamiltonian(solution.space))
    state = Statevector(solution.circuit).data
    found = [estimate(observable, state, shots=2048, seed=seed) for seed in range(12)]
    scores = np.array([(one.energy - solution.optimum.energy) / one.standard_error for one in found])
    assert np.abs(scores).max() < 5
    assert abs(scores.mean()) < 5 / np.sqrt(12)
    assert 0.3 < scores.std(ddof=1) < 1.9


def test_estimate_of_an_eigenstate_has_no_error():
    observable = observable_of(SparsePauliOp(["ZI", "IZ", "II"], [0.5, 0.25, 1]))
    found = estimate(observable, np.array([0, 0, 0, 1], dtype=complex), shots=100, seed=1)
    assert (found.energy, found.standard_error, found.fidelity) == (pytest.approx(0.25), 0, 1)


def test_estimate_reads_x_and_y_in_their_own_bases():
    plus_i = np.array([1, 1j]) / np.sqrt(2)
    for pauli, state, value in (("X", np.array([1, 1]) / np.sqrt(2), 1), ("Y", plus_i, 1), ("Y", plus_i.conj(), -1)):
        observable: Observable = observable_of(SparsePauliOp([pauli]))
        assert estimate(observable, state.astype(complex), shots=50, seed=1).energy == pytest.approx(value)


@pytest.mark.parametrize("name", NAMES)
def test_table_of_features_is_that_of_the_circuits(solutions: dict[str, Solution], name: str):
    measured = solutions[name].circuit.copy()
    measured.measure_all()
    derived = dataclasses.asdict(features_of(measured))
    del derived["amplitudes"]
    table = json.loads(FEATURES_FILE.read_text("utf-8"))[name]
    assert table.pop("classical_ms") > derived.pop("classical_ms")
    assert table == derived


@pytest.mark.parametrize("estimator", ["exact", "sampled"])
@pytest.mark.parametrize("name", NAMES)
def test_result_follows_its_schema(runner: VqeRunner, name: Name, estimator: str):
    algorithm = load_catalogue()[AlgorithmId("vqe.molecular.v2")]
    parameters = algorithm.checked({"molecule": name, "estimator": estimator})
    done = runner.run(parameters, shots=4096, seed=3, device=simulator("statevector"), progress=quiet)
    algorithm.result.checked(json.loads(json.dumps(done.result)), "result")
    assert done.qubits_used == 2 * REFERENCE[name].active_orbitals
    error = done.result["standard_error_hartree"]
    if estimator == "exact":
        assert (error, done.result["shots_total"], done.fidelity_method) == (None, 0, "exact")
        assert abs(done.result["reference"]["error_vs_fci_hartree"]) < 1e-3
    else:
        assert abs(done.result["energy_hartree"] - done.result["ansatz_energy_hartree"]) < 5 * error
        assert done.result["shots_total"] == 4096


def test_result_repeats_for_a_seed_and_differs_for_another(runner: VqeRunner):
    first, again, other = (
        runner.run({"molecule": "LiH"}, shots=1024, seed=seed, device=simulator("statevector"), progress=quiet).result
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first["energy_hartree"] != other["energy_hartree"]


def test_stretched_hydrogen_leaves_hartree_fock_behind(runner: VqeRunner):
    parameters = {"molecule": "H2", "geometry": {"bond_length_angstrom": 2.5}, "estimator": "exact"}
    done = runner.run(parameters, shots=1024, seed=1, device=simulator("matrix_product_state"), progress=quiet)
    reference = done.result["reference"]
    assert abs(reference["error_vs_fci_hartree"]) < 1e-6
    assert reference["hartree_fock_hartree"] - reference["fci_hartree"] > 0.1


def test_stabilizer_method_is_refused(runner: VqeRunner):
    with pytest.raises(EngineError):
        runner.run({"molecule": "H2"}, shots=1024, seed=1, device=simulator("stabilizer"), progress=quiet)


def test_progress_tells_nothing_of_the_result(runner: VqeRunner):
    told = []
    done = runner.run(
        {"molecule": "H2"}, shots=1024, seed=1, device=simulator("statevector"), progress=lambda _, m: told.append(m)
    )
    digits = f"{abs(done.result['energy_hartree']):.2f}"
    assert any(message.startswith("iteration") for message in told)
    assert not any(digits in message for message in told)


def test_progress_rises_from_nothing_to_all(runner: VqeRunner):
    steps: list[float] = []
    runner.run(
        {"molecule": "H2"}, shots=1024, seed=1, device=simulator("statevector"), progress=lambda p, _: steps.append(p)
    )
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0.0, 1.0)


def test_geometry_replaces_what_it_names_and_no_more():
    water = molecule_from({"molecule": "H2O", "geometry": {"angle_degrees": 100}})
    assert (water.bond_length, water.angle) == (0.9584, 100)
    (_, oxygen), (_, left), (_, right) = water.atoms
    arms = [np.subtract(hydrogen, oxygen) for hydrogen in (left, right)]
    assert np.linalg.norm(arms[0]) == pytest.approx(0.9584)
    assert np.degrees(np.arccos(arms[0] @ arms[1] / 0.9584**2)) == pytest.approx(100)


def test_active_spaces_need_the_stated_qubits():
    shapes = {name: (m.active_orbitals, m.active_pairs) for name, m in REFERENCE.items()}
    assert shapes == {"H2": (2, 1), "LiH": (5, 1), "H2O": (6, 4)}
