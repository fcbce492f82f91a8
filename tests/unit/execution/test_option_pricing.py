"""Option pricing against published prices, its circuits and intervals against theory."""

import dataclasses
import math

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.amplitude.circuit import estimation_circuits, powers_of
from services.execution.algorithms.amplitude.likelihood import fit
from services.execution.algorithms.amplitude.option import Grid, Option
from tests.unit.execution.marketplace import Job, Noisy

CALL = Option("call", 100, 100, 0.05, 0.2, 1)
PUT = dataclasses.replace(CALL, kind="put")
REQUEST = {"spot": 100, "strike": 100, "rate": 0.05, "volatility": 0.2, "years": 1, "price_qubits": 3}


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("amplitude.option_pricing.v1")


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_closed_form_is_the_published_price():
    assert CALL.black_scholes == pytest.approx(10.4506, abs=5e-5)  # Hull, Options, Futures and Other Derivatives
    assert PUT.black_scholes == pytest.approx(5.5735, abs=5e-5)


def test_put_and_call_are_in_parity_in_closed_form():
    assert CALL.black_scholes - PUT.black_scholes == pytest.approx(100 - 100 * math.exp(-0.05), abs=1e-12)


@pytest.mark.parametrize("option", [CALL, PUT])
def test_finer_grids_come_nearer_to_the_closed_form(option: Option):
    errors = [
        abs(grid.value(grid.amplitude) - option.black_scholes) for grid in (Grid.of(option, n) for n in (3, 4, 5, 8))
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.02 * option.black_scholes
    assert errors[3] < 1e-3 * option.black_scholes


@pytest.mark.parametrize("option", [CALL, PUT])
@pytest.mark.parametrize("qubits", [2, 4])
def test_circuits_hit_with_the_probability_of_theory(option: Option, qubits: int):
    grid = Grid.of(option, qubits)
    theta = math.asin(math.sqrt(grid.amplitude))
    for power, circuit in zip((0, 1, 3), estimation_circuits(grid, [0, 1, 3]), strict=True):
        circuit.remove_final_measurements()
        hit = Statevector(circuit).probabilities([grid.qubits])[1]
        assert hit == pytest.approx(math.sin((2 * power + 1) * theta) ** 2, abs=1e-9)


@pytest.mark.parametrize("kind", ["call", "put"])
def test_estimate_is_that_of_the_grid_within_its_interval(job: Job, kind: str):
    result = job.run({**REQUEST, "kind": kind}, shots=8192)
    low, high = result["interval_95"]
    exact = result["reference"]["on_grid"]
    assert abs(result["reference"]["estimation_error"]) < 2 * (high - low)
    assert low <= result["price"] <= high
    assert high - low < 0.005 * exact
    assert result["consistent"]
    closed = result["reference"]["best_classical"]["price"]
    assert closed == pytest.approx({"call": 10.4506, "put": 5.5735}[kind], abs=1e-4)
    assert exact == pytest.approx(closed, rel=0.1)


def test_interval_is_narrower_than_that_of_as_many_classical_samples(job: Job):
    result = job.run(REQUEST)
    low, high = result["interval_95"]
    assert (high - low) / (2 * 1.96) < 0.7 * result["reference"]["monte_carlo_standard_error"]


def test_interval_holds_as_often_as_it_says():
    random, powers, held = np.random.default_rng(4), powers_of(4), 0
    for _ in range(100):
        amplitude = random.uniform(0.01, 0.9)
        theta = math.asin(math.sqrt(amplitude))
        hits = [int(random.binomial(1024, math.sin((2 * power + 1) * theta) ** 2)) for power in powers]
        low, high = fit(powers, hits, 1024).interval
        held += low <= amplitude <= high
    assert 87 <= held <= 99  # 95 % of 100, give or take four standard deviations


@pytest.mark.parametrize(("hits", "amplitude"), [([0, 0, 0], 0.0), ([1024, 1024, 1024], 1.0)])
def test_fit_at_the_ends_of_the_scale_stays_inside(hits: list[int], amplitude: float):
    found = fit([0, 1, 2], hits, 1024)
    low, high = found.interval
    assert found.amplitude == pytest.approx(amplitude, abs=1e-3)
    assert 0 <= low <= high <= 1
    assert high - low < 0.01


def test_noise_is_noticed(job: Job):
    done = job.done(REQUEST, device=Noisy(0.3))
    assert not done.result["consistent"]
    assert done.result["p_value"] < 1e-3
    assert job.run(REQUEST)["consistent"]


def test_features_are_those_of_the_longest_circuit(job: Job):
    features, circuit = job.features(REQUEST), job.run(REQUEST)["circuit"]
    assert (features.gate_count, features.active_qubits) == (circuit["gates"], circuit["qubits"])
    assert features.circuit_count == 6
    assert job.features({**REQUEST, "price_qubits": 5}).active_qubits == job.algorithm.facts.max_qubits


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({**REQUEST, "strike": 1000}, "parameters.strike", "pays at no price"),
        ({**REQUEST, "kind": "put", "strike": 1}, "parameters.strike", "pays at no price"),
        ({**REQUEST, "volatility": 0}, "parameters.volatility", "at least 0.01"),
        ({**REQUEST, "kind": "bermudan"}, "parameters.kind", "call, put"),
        ({"spot": 100}, "parameters.strike", "required"),
        ({**REQUEST, "price_qubits": 9}, "parameters.price_qubits", "at most 5"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
