"""The bounds of entanglement against the Schmidt ranks of exact states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from services.execution.programs.entanglement import Entanglement, State
from services.execution.programs.measure import features_of

GATES: dict[str, tuple[int, int]] = {
    "h": (1, 0), "x": (1, 0), "y": (1, 0), "z": (1, 0), "s": (1, 0), "sx": (1, 0), "t": (1, 0), "ry": (1, 1),
    "rz": (1, 1), "cx": (2, 0), "cy": (2, 0), "cz": (2, 0), "cp": (2, 1), "csx": (2, 0), "ecr": (2, 0), "swap": (2, 0),
    "rxx": (2, 1), "rzz": (2, 1), "rzx": (2, 1), "ccx": (3, 0), "cswap": (3, 0),
}  # fmt: skip
"""Qubits and angles of each."""


@st.composite
def circuits(draw: st.DrawFn) -> QuantumCircuit:
    n = draw(st.integers(3, 6))
    circuit = QuantumCircuit(n)
    for name in draw(st.lists(st.sampled_from(sorted(GATES)), max_size=14)):
        width, angles = GATES[name]
        qubits = draw(st.permutations(range(n)))[:width]
        getattr(circuit, name)(*[0.7] * angles, *qubits)
    return circuit


def schmidt_ranks(circuit: QuantumCircuit) -> list[int]:
    """The rank over each cut, of the lowest qubits against the others."""
    n = circuit.num_qubits
    state = Statevector(circuit).data
    return [int(np.linalg.matrix_rank(state.reshape(2 ** (n - cut - 1), -1), tol=1e-9)) for cut in range(n - 1)]


def followed(circuit: QuantumCircuit) -> Entanglement:
    bounds = Entanglement(circuit.num_qubits)
    for item in circuit.data:
        bounds.apply(item.name, [circuit.find_bit(qubit).index for qubit in item.qubits], 1)
    return bounds


@settings(deadline=None, max_examples=100)
@given(circuits())
def test_no_state_is_more_entangled_than_its_bounds(circuit: QuantumCircuit):
    bounds = followed(circuit)
    ranks = schmidt_ranks(circuit)
    assert all(rank <= 2**bits for rank, bits in zip(ranks, bounds.bits, strict=True))
    assert bounds.most_bits == max(bounds.bits)


@settings(deadline=None, max_examples=60)
@given(circuits())
def test_a_qubit_that_is_said_to_be_by_itself_is_pure(circuit: QuantumCircuit):
    bounds, state = followed(circuit), Statevector(circuit)
    for qubit, known in enumerate(bounds.states):
        if known is State.MIXED:
            continue
        spins = np.moveaxis(state.data.reshape([2] * circuit.num_qubits), circuit.num_qubits - 1 - qubit, 0)
        reduced = spins.reshape(2, -1) @ spins.reshape(2, -1).conj().T
        assert np.trace(reduced @ reduced).real == pytest.approx(1)
        if known is State.ZERO_OR_ONE:
            assert abs(reduced[0, 1]) == pytest.approx(0, abs=1e-9)
            assert reduced[0, 0].real == pytest.approx(round(reduced[0, 0].real), abs=1e-9)
        if known is State.PLUS_OR_MINUS:
            assert abs(reduced[0, 1]) == pytest.approx(0.5)


def fourier(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    for target in reversed(range(n)):
        circuit.h(target)
        for control in range(target):
            circuit.cp(0.1 * (control + 1), control, target)
    return circuit


def test_a_fourier_transform_of_a_basis_state_stays_a_product():
    assert features_of(fourier(30)).cut_rank_bits == 0


def test_a_fourier_transform_of_other_states_may_not():
    circuit = QuantumCircuit(30)
    circuit.ry(0.3, range(30))
    assert features_of(circuit.compose(fourier(30))).cut_rank_bits == 15


def test_hopeless_circuits_get_the_bound_of_any_state_and_cost_no_more():
    circuit = QuantumCircuit(100)
    circuit.ry(0.3, range(100))
    for _ in range(10):
        for qubit in range(50):
            circuit.cx(qubit, qubit + 50)
    assert features_of(circuit).cut_rank_bits == 50


def test_a_measured_qubit_may_control_what_follows_without_entangling():
    circuit = QuantumCircuit(3, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.cx(0, 1)
    circuit.cx(0, 2)
    features = features_of(circuit)
    assert (features.cut_rank_bits, features.midway_count, features.dynamic) == (0, 1, True)


def test_a_loop_is_followed_as_if_its_qubits_were_entangled_before():
    circuit = QuantumCircuit(3)
    with circuit.for_loop(range(3)):
        circuit.cx(0, 1)
        circuit.h(0)
    assert features_of(circuit).cut_rank_bits == 1


def test_measurements_at_the_end_part_no_shots():
    circuit = QuantumCircuit(4, 4)
    circuit.h(range(4))
    circuit.measure(range(4), range(4))
    features = features_of(circuit)
    assert (features.midway_count, features.measured_qubit_count, features.dynamic) == (0, 4, False)
