"""Measurement settings against dense matrices: every term is read, with its sign, by a circuit that is no wider."""

import numpy as np
import pytest
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp, Statevector, random_clifford

from services.execution.algorithms.vqe.diagonalisation import basis_change
from services.execution.algorithms.vqe.settings import clashes_of, constant_of, groups_of, setting_of


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


def test_settings_read_every_term_once_and_add_up_to_the_expectation():
    random = np.random.default_rng(3)
    labels = ["".join(random.choice(list("IXYZ"), 3)) for _ in range(40)]
    operator = SparsePauliOp(labels, random.normal(size=40)).simplify()
    state = Statevector(np.array([1, 2j, -1, 0.5, 0.3j, 1, -2, 1]) / np.sqrt(12.34))
    settings = [setting_of(operator, group) for group in groups_of(operator)]
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
    setting = setting_of(operator, [0, 1, 2])
    bell = Statevector(np.array([1, 0, 0, 1]) / np.sqrt(2))
    probabilities = bell.evolve(setting.change).probabilities(list(setting.qubits))
    values = setting.readings(np.arange(len(probabilities))).T @ probabilities
    assert dict(zip(setting.terms, values, strict=True)) == pytest.approx({0: 1, 1: -1, 2: 1})


def test_groups_are_filled_from_the_largest_coefficient_down():
    operator = SparsePauliOp(["ZI", "XX", "IZ", "YY", "II"], [1, 4, 2, 3, 9])
    assert groups_of(operator) == [[1, 3], [2, 0]]


def test_terms_that_do_not_commute_make_no_setting():
    with pytest.raises(ValueError, match="do not commute"):
        setting_of(SparsePauliOp(["ZI", "XI"]), [0, 1])


def test_full_commutation_is_that_of_the_matrices():
    paulis = PauliList(["XX", "YY", "XI", "IZ", "ZZ"])
    clashes = clashes_of(paulis)
    for first, second in np.ndindex(*clashes.shape):
        assert clashes[first, second] == Pauli(paulis[first]).anticommutes(Pauli(paulis[second]))
