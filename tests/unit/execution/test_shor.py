"""Order finding against arithmetic, its permutations and circuits against tables."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.shor.order import Order, factors_from
from services.execution.algorithms.shor.permutation import flips_of
from services.execution.algorithms.toffoli import flip_with_borrowed, flip_with_spare
from tests.unit.execution.marketplace import Job, Noisy


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("shor.factor.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize(("number", "factors"), [(15, [3, 5]), (21, [3, 7])])
@pytest.mark.parametrize("seed", [1, 2])
def test_drawn_bases_give_the_factors(job: Job, number: int, factors: list[int], seed: int):
    result = job.run({"number": number}, seed=seed)
    assert result["factors"] == factors == result["best_classical"]["factors"]
    *failed, last = result["attempts"]
    assert all(attempt["status"] != "factors" for attempt in failed)
    assert last["status"] == "factors"
    assert all(attempt["order"] == attempt["exact_order"] for attempt in result["attempts"])


def test_thirty_five_is_factored(job: Job):
    result = job.run({"number": 35, "bases": [6], "counting_qubits": 5})
    assert result["factors"] == [5, 7]
    assert result["circuit"]["qubits"] == 11


def test_every_base_that_was_asked_for_is_tried_and_explained(job: Job):
    result = job.run({"number": 21, "bases": [4, 20, 2]})
    assert [attempt["status"] for attempt in result["attempts"]] == ["odd_order", "trivial_root", "factors"]
    assert [attempt["order"] for attempt in result["attempts"]] == [3, 2, 6]
    assert result["factors"] == [3, 7]


def test_bases_that_fail_give_no_factors(job: Job):
    assert job.run({"number": 15, "bases": [14]})["factors"] is None


def test_share_of_the_order_is_that_of_theory_and_beats_chance(job: Job):
    (attempt,) = job.run({"number": 15, "bases": [7]}, shots=50_000)["attempts"]
    assert attempt["order_share_theory"] == pytest.approx(0.5, abs=1e-9)
    assert abs(attempt["order_share"] - 0.5) < 5 * attempt["order_share_standard_error"]
    assert attempt["order_share_at_random"] < 0.05
    assert attempt["above_chance"]


def test_noise_shows_in_the_share_of_the_order(job: Job):
    (attempt,) = job.run({"number": 15, "bases": [7]}, device=Noisy(0.8))["attempts"]
    assert attempt["order_share"] < 0.2 < attempt["order_share_theory"]
    assert attempt["order"] == 4
    (attempt,) = job.run({"number": 15, "bases": [7]}, device=Noisy(1.0))["attempts"]
    assert (attempt["order"], attempt["above_chance"]) == (4, False)


@pytest.mark.parametrize("number", [15, 21, 35])
def test_orders_give_factors_as_arithmetic_says(number: int):
    for base in range(2, number):
        if math.gcd(base, number) == 1:
            order = Order(number, base, 8).value
            half = pow(base, order // 2, number) if order % 2 == 0 else 1
            factors = factors_from(number, base, order)
            assert (factors is not None) == (half not in (1, number - 1))
            assert factors is None or factors[0] * factors[1] == number


@pytest.mark.parametrize(("number", "base", "counting"), [(15, 7, 4), (15, 2, 3), (21, 8, 4)])
def test_circuit_measures_the_distribution_of_theory(number: int, base: int, counting: int):
    order = Order(number, base, counting)
    circuit = order.circuit()
    circuit.remove_final_measurements()
    state = Statevector(circuit).data.reshape(1 << order.bits, 1 << counting)
    found = (np.abs(state) ** 2).sum(axis=0)
    assert found == pytest.approx(order.distribution(), abs=1e-9)


@given(st.integers(1, 3).flatmap(lambda bits: st.integers(1, 1 << bits)).flatmap(lambda n: st.permutations(range(n))))
@settings(max_examples=60, deadline=None)
def test_flips_make_any_permutation_of_the_numbers_below_a_bound(images: list[int]):
    flips = flips_of(images, max(1, (len(images) - 1).bit_length()))
    for start, image in enumerate(images):
        value = start
        for flip in flips:
            value = flip(value)
        assert value == image


@pytest.mark.parametrize("controls", range(6))
def test_many_controls_flip_where_all_are_one(controls: int):
    target, width = controls, max(controls + 1, 2 * controls - 1)
    borrowing = QuantumCircuit(width)
    flip_with_borrowed(borrowing, range(controls), target, range(controls + 1, width))
    full = (1 << controls) - 1
    images = [value ^ (value & full == full) << target for value in range(1 << width)]
    permutation = np.abs(Operator(borrowing).data).argmax(axis=0)
    assert permutation.tolist() == images
    sparing = QuantumCircuit(controls + 2)
    flip_with_spare(sparing, range(controls), target, controls + 1)
    clean = np.abs(Operator(sparing).data[:, : 2 << controls])
    assert clean.argmax(axis=0).tolist() == images[: 2 << controls]
    assert clean.max(axis=0) == pytest.approx(np.ones(2 << controls), abs=1e-9)


def test_features_are_those_of_the_circuit_and_count_the_bases(job: Job):
    features = job.features({"number": 15, "bases": [7, 11]})
    circuit = job.run({"number": 15, "bases": [7]})["circuit"]
    assert (features.active_qubits, features.gate_count) == (circuit["qubits"], circuit["gates"])
    assert features.circuit_count == 2
    assert job.features({"number": 35}).active_qubits == job.algorithm.facts.max_qubits


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({"number": 33}, "parameters.number", "15, 21, 35"),
        ({"number": 15, "bases": [6]}, "parameters.bases[0]", "factor 3"),
        ({"number": 15, "bases": [2, 15]}, "parameters.bases[1]", "from 2 to 14"),
        ({"number": 15, "bases": [2, 2]}, "parameters.bases", "unique"),
        ({"number": 15, "counting_qubits": 12}, "parameters.counting_qubits", "at most 11"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
