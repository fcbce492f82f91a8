"""Samples of a matrix product state against its exact distribution."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from services.execution.engines.chain import sample_chain


def state_of(circuit: QuantumCircuit) -> tuple:
    saved = circuit.copy()
    saved.save_matrix_product_state()
    return AerSimulator(method="matrix_product_state").run(saved, shots=1).result().data(0)["matrix_product_state"]


def random_circuit(n: int, seed: int) -> QuantumCircuit:
    chance = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for _ in range(4):
        for qubit in range(n):
            circuit.u(*chance.uniform(0, 3, 3), qubit)
        for first, second in chance.permutation(n)[: n // 2 * 2].reshape(-1, 2):
            circuit.cx(int(first), int(second))
    return circuit


@pytest.mark.parametrize("seed", range(4))
def test_samples_follow_the_exact_distribution(seed: int):
    circuit, shots = random_circuit(6, seed), 200_000
    rows, counts = sample_chain(*state_of(circuit), shots, np.random.default_rng(seed))
    exact = Statevector(circuit).probabilities()
    drawn = np.zeros(64)
    drawn[rows @ (1 << np.arange(6))] = counts / shots
    # The total variation of 200,000 shots over 64 outcomes is below half the root of 64 / 200,000 on average.
    assert np.abs(drawn - exact).sum() / 2 < 0.0135
    assert counts.sum() == shots


def test_a_product_and_an_entangled_pair_give_only_what_is_possible():
    circuit = QuantumCircuit(5)
    circuit.x(1)
    circuit.h(2)
    circuit.cx(2, 4)
    rows, counts = sample_chain(*state_of(circuit), 1000, np.random.default_rng(1))
    assert {tuple(row) for row in rows.tolist()} == {(0, 1, 0, 0, 0), (0, 1, 1, 0, 1)}
    assert counts.sum() == 1000


def test_a_single_qubit_is_a_chain_too():
    circuit = QuantumCircuit(1)
    circuit.ry(np.pi / 3, 0)
    rows, counts = sample_chain(*state_of(circuit), 100_000, np.random.default_rng(2))
    assert dict(zip(rows[:, 0].tolist(), (counts / 100_000).tolist(), strict=True))[1] == pytest.approx(0.25, abs=0.006)
