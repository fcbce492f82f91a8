"""Measurement settings against dense matrices: every term is read, with its sign, by a circuit that is no wider."""

import numpy as np
import pytest
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp, Statevector, random_clifford

from services.execution.algorithms.diagonalisation import basis_change
from services.execution.algorithms.settings import clashes_of, constant_of, groups_of, settings_of


def commuting_paulis(seed: int, qubits: int = 4, terms: int = 7) -> PauliList:
    """Products of Z turned by a random Clifford circuit."""
    random = np.random.default_rng(seed)
    zs = random.integers(0, 2, (terms, qubits)).astype(bool)
    plain = PauliList.from_symplectic(zs, np.zeros_like(zs))
    return plain.evolve(random_clifford(qubits, seed=seed), frame="s")


def test_basis_change_turns_commuting_operators_into_products_of_z():
    for seed in range(40):
        paulis = commuting_paulis(seed)
        change = basis_change(paulis)
        assert not paulis.evolve(change, frame="s").x.any()
        assert set(change.count_ops()) <= {"cx", "cz", "s", "h"}


def test_operators_of_z_alone_need_no_gate():
    assert basis_change(PauliList(["ZZI", "IZZ", "ZII"])).size() == 0


@pytest.mark.parametrize("commuting", ["qubit_wise", "fully"])
def test_settings_read_every_term_once_and_add_up_to_the_expectation(commuting: str):
    random = np.random.default_rng(3)
    labels = ["".join(random.choice(list("IXYZ"), 3)) for _ in range(40)]
    operator = SparsePauliOp(labels, random.normal(size=40)).simplify()
    state = Statevector(np.array([1, 2j, -1, 0.5, 0.3j, 1, -2, 1]) / np.sqrt(12.34))
    settings = settings_of(operator, commuting)
    terms = sorted(term for setting in settings for term in setting.terms)
    trivial = [place for place, pauli in enumerate(operator.paulis) if not pauli.x.any() and not pauli.z.any()]
    assert sorted(terms + trivial) == list(range(len(operator)))
    total = constant_of(operator)
    for setting in settings:
        probabilities = state.evolve(setting.change).probabilities(list(setting.qubits))
        total += setting.values(np.arange(len(probabilities))) @ probabilities
    assert total == pytest.approx(state.expectation_value(operator).real)


def test_signs_of_rotated_terms_are_kept():
    operator = SparsePauliOp(["XX", "YY", "ZZ"])  # a Bell pair has XX = ZZ = 1 and YY = -1
    (setting,) = settings_of(operator, "fully")
    bell = Statevector(np.array([1, 0, 0, 1]) / np.sqrt(2))
    probabilities = bell.evolve(setting.change).probabilities(list(setting.qubits))
    values = setting.readings(np.arange(len(probabilities))).T @ probabilities
    assert dict(zip(setting.terms, values, strict=True)) == pytest.approx({0: 1, 1: -1, 2: 1})


def test_qubit_wise_groups_agree_on_every_qubit():
    assert groups_of(SparsePauliOp(["XXI", "IXZ", "ZII"], [3, 2, 1]), "qubit_wise") == [[0, 1], [2]]
    clashes = clashes_of(PauliList(["XX", "YY", "XI", "IZ"]), "qubit_wise")
    assert clashes.tolist() == [
        [False, True, False, True],
        [True, False, True, True],
        [False, True, False, False],
        [True, True, False, False],
    ]


def test_full_commutation_is_that_of_the_matrices():
    paulis = PauliList(["XX", "YY", "XI", "IZ", "ZZ"])
    clashes = clashes_of(paulis, "fully")
    for first, second in np.ndindex(*clashes.shape):
        assert clashes[first, second] == Pauli(paulis[first]).anticommutes(Pauli(paulis[second]))
