import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.method import Method, memory_bytes, steps
from services.routing.program import Features
from tests.unit.routing.programs import features

anything = st.builds(
    Features,
    qubit_count=st.integers(1, 2**31 - 1),
    clbit_count=st.integers(0, 2**31 - 1),
    depth=st.integers(0, 2**63 - 1),
    gate_count=st.integers(0, 2**63 - 1),
    two_qubit_gate_count=st.integers(0, 2**63 - 1),
    clifford=st.booleans(),
    dynamic=st.booleans(),
    entanglement_bound=st.integers(0, 2**31 - 1),
    circuit_count=st.integers(1, 2**31 - 1),
)


@settings(deadline=None)
@given(anything, st.sampled_from(Method), st.integers(1, 2**63 - 1))
def test_no_program_is_too_large_to_be_counted(program: Features, method: Method, shots: int):
    counted = steps(method, program, shots)
    assert counted.times(counted) >= 0
    assert memory_bytes(method, program) > 0


def test_a_state_vector_takes_sixteen_bytes_an_amplitude_and_its_distribution():
    assert memory_bytes(Method.STATEVECTOR, features(10)) == 16 * 2**10 * 2
    assert memory_bytes(Method.STATEVECTOR, features(27)) == 16 * (2**27 + 2**20)


def test_a_tableau_has_two_rows_a_qubit_of_two_bits_a_qubit_and_a_sign():
    assert memory_bytes(Method.STABILIZER, features(100)) == 200 * 201 // 8 + 100


@pytest.mark.parametrize(("bound", "bond"), [(3, 3), (50, 5)])
def test_half_of_the_qubits_bounds_the_bond_dimension_too(bound: int, bond: int):
    program = features(10, entanglement_bound=bound)
    assert memory_bytes(Method.MATRIX_PRODUCT_STATE, program) == 3 * 16 * 10 * 2 * 4**bond


@pytest.mark.parametrize("method", Method)
def test_a_dynamic_circuit_applies_its_gates_for_each_shot(method: Method):
    still, dynamic = (steps(method, features(8, dynamic=moving), 1000) for moving in (False, True))
    assert (still.restart, still.branch) == (0, 0)
    assert dynamic.work == 0
    assert dynamic.restart == 1000
    assert dynamic.branch >= 1000 * 20
