"""Portfolios against plain arithmetic, the amplitudes against the circuit, the start against its definition."""

import itertools

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError, ParameterError
from services.execution.algorithms.qaoa.assets import Assets, assets_of
from services.execution.algorithms.qaoa.exchange import ring
from services.execution.algorithms.qaoa.portfolio import layers_of
from services.execution.algorithms.qaoa.portfolio_circuit import dicke, portfolio_circuit
from tests.unit.execution.depolarised import Depolarised
from tests.unit.execution.marketplace import Job, Noisy

RETURNS = [0.03, 0.11, 0.07, 0.05, 0.09]
FACTORS = np.array([[0.05, 0.01], [0.3, 0.1], [0.2, -0.1], [0.1, 0.15], [0.25, 0.05]])
COVARIANCE = (FACTORS @ FACTORS.T + 0.01 * np.eye(5)).tolist()
REQUEST = {"expected_returns": RETURNS, "covariance": COVARIANCE, "budget": 2, "risk_aversion": 2.0}


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("qaoa.portfolio.v1")


def assets(job: Job, **changes: object) -> Assets:
    return assets_of(job.algorithm.checked(REQUEST | changes))


def worth(chosen: tuple[int, ...]) -> float:
    """Return minus twice the variance, of equal weights."""
    size = len(chosen)
    variance = sum(COVARIANCE[a][b] for a in chosen for b in chosen) / size**2
    return sum(RETURNS[asset] for asset in chosen) / size - 2.0 * variance


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize("budget", [1, 2, 3, 4])
def test_best_portfolio_is_that_of_enumeration_and_is_found(job: Job, budget: int):
    result = job.run(REQUEST | {"budget": budget})
    best = max(itertools.combinations(range(5), budget), key=worth)
    classical = result["reference"]["best_classical"]
    assert classical["assets"] == [f"asset {asset}" for asset in best]
    assert classical["objective"] == pytest.approx(worth(best))
    assert result["best_portfolio"]["assets"] == classical["assets"]
    assert result["feasible_fraction"] == 1
    assert result["expectation"] > result["reference"]["random_objective"]
    assert abs(result["expectation"] - result["noiseless_expectation"]) < 5 * result["standard_error"] + 1e-12


@pytest.mark.parametrize(("qubits", "ones"), [(2, 1), (3, 1), (3, 2), (4, 2), (5, 2), (5, 3), (6, 3), (6, 5), (7, 3)])
def test_start_is_the_equal_superposition_within_the_budget(qubits: int, ones: int):
    state = Statevector(dicke(qubits, ones)).data
    places = [place for place in range(1 << qubits) if place.bit_count() == ones]
    expected = np.zeros(1 << qubits)
    expected[places] = len(places) ** -0.5
    assert abs(np.vdot(expected, state)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("changes", [{}, {"budget": 3}])
def test_circuit_prepares_the_amplitudes_of_the_layers(job: Job, changes: dict):
    chosen, angles = assets(job, **changes), np.array([0.3, 0.7, 0.5, 0.2])
    circuit = portfolio_circuit(chosen, angles)
    circuit.remove_final_measurements()
    state = Statevector(circuit).data
    expected = layers_of(chosen).state(*np.split(angles, 2))
    assert abs(np.vdot(expected, state[chosen.portfolios])) == pytest.approx(1, abs=1e-9)


def test_gradient_is_that_of_finite_differences(job: Job):
    layers, angles = layers_of(assets(job)), np.array([0.1, 0.4, 0.5, 0.3])
    _, slopes = layers.expectation(angles)
    for place, slope in enumerate(slopes):
        step = np.eye(4)[place] * 1e-6
        ahead, behind = (layers.expectation(angles + sign * step)[0] for sign in (1, -1))
        assert slope == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)


def test_ring_joins_every_asset_to_two_neighbours():
    assert ring(2) == [(0, 1)]
    for count in (3, 4, 5, 8):
        ends = [asset for pair in ring(count) for asset in pair]
        assert sorted(ends) == sorted([*range(count)] * 2)


def test_prices_give_the_moments_of_their_returns(job: Job):
    prices = [[100, 110, 99, 108.9], [50, 49, 51.45, 52.479], [20, 20, 21, 20]]
    result = job.run({"prices": prices, "budget": 1})
    returns = [[0.1, -0.1, 0.1], [-0.02, 0.05, 0.02], [0.0, 0.05, -1 / 21]]
    assert result["expected_returns"] == pytest.approx([sum(series) / 3 for series in returns])
    assert np.array(result["covariance"]) == pytest.approx(np.cov(returns))


def test_more_layers_do_better(job: Job):
    values = [job.run(REQUEST | {"layers": layers})["noiseless_expectation"] for layers in (1, 2, 4)]
    assert values == sorted(values)


def test_noise_breaks_the_budget_and_is_told(job: Job):
    done = job.done(REQUEST, device=Depolarised(0.01))
    assert 0.4 < done.result["feasible_fraction"] < 0.95
    assert sum(one["shots"] for one in done.result["top_portfolios"]) <= 4096 * done.result["feasible_fraction"] + 0.5
    assert done.fidelity_method == "calibration_estimate"


def test_no_portfolio_within_the_budget_is_an_error(job: Job):
    names = {"expected_returns": [0.1] * 16, "covariance": (0.01 * np.eye(16)).tolist(), "budget": 1, "layers": 1}
    with pytest.raises(AlgorithmError, match="no shot kept the budget"):
        job.done(names, device=Noisy(1.0), shots=8)


def test_features_are_those_of_the_circuit(job: Job):
    features, result = job.features(REQUEST), job.run(REQUEST)
    assert (features.gate_count, features.depth) == (result["circuit"]["gates"], result["circuit"]["depth"])
    assert job.features(REQUEST | {"layers": 8}).classical_ms > features.classical_ms


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "parameters.budget"),
        ({"budget": 1}, "parameters"),
        (REQUEST | {"prices": [[1, 2, 3], [1, 2, 3]]}, "parameters.covariance"),
        (REQUEST | {"budget": 5}, "parameters.budget"),
        (REQUEST | {"names": ["a", "b"]}, "parameters.names"),
        (REQUEST | {"names": ["a", "a", "b", "c", "d"]}, "parameters.names"),
        (REQUEST | {"covariance": COVARIANCE[:4]}, "parameters.covariance"),
        (REQUEST | {"covariance": [*COVARIANCE[:4], [0.1, 0.2]]}, "parameters.covariance[4]"),
        (REQUEST | {"covariance": np.triu(COVARIANCE).tolist()}, "parameters.covariance"),
        (REQUEST | {"covariance": (-np.eye(5)).tolist()}, "parameters.covariance"),
        ({"prices": [[1, 2, 3], [1, 2]], "budget": 1}, "parameters.prices[1]"),
        ({"prices": [[1, 2, 3], [1, 2, 3, 4]], "budget": 1}, "parameters.prices[1]"),
        ({"prices": [[1, 2, 3], [1, 0, 3]], "budget": 1}, "parameters.prices[1][1]"),
        (REQUEST | {"risk_aversion": -1}, "parameters.risk_aversion"),
        (REQUEST | {"layers": 0}, "parameters.layers"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
