"""qaoa.portfolio.v1 from parameters to result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.picture import Line, lines
from services.execution.algorithms.qaoa.angles import evaluations_for
from services.execution.algorithms.qaoa.assets import Assets, assets_of
from services.execution.algorithms.qaoa.exchange import Exchanges
from services.execution.algorithms.qaoa.layers import Layers
from services.execution.algorithms.qaoa.portfolio_circuit import portfolio_circuit
from services.execution.algorithms.qaoa.refinement import OPTIMIZER, Found, search
from services.execution.algorithms.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

MOST_OUTCOMES = 10
_MOST_DOTS = 400
_RAMPS = tuple(product((0.4, 0.8, 1.2), (0.4, 0.8, 1.2)))
"""Where the search may start: the last gamma, in standard deviations of the objective, and the first beta."""


@dataclass(frozen=True, slots=True)
class _Solved:
    """`tally` counts places among the portfolios; shots that broke the budget are not in it."""

    assets: Assets
    found: Found
    tally: Tally
    shots: int

    @property
    def exact(self) -> int:
        """Return the place of the best portfolio."""
        return int(np.argmax(self.assets.objectives))

    @property
    def best(self) -> int:
        """Return the place of the best portfolio that was measured."""
        return int(self.tally.outcomes[np.argmax(self.assets.objectives[self.tally.outcomes])])


class PortfolioRunner:
    """Chooses the angles, runs the circuit, and judges its portfolios."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Find a good portfolio; see `Runner.run`."""
        progress(0.0, "enumerating the portfolios")
        assets = assets_of(parameters)
        progress(0.1, "choosing the angles")
        found = angles_for(assets, int(parameters["layers"]), progress)
        progress(0.8, "running the circuit")
        experiment = Experiment(device, shots=shots, seed=seed, purpose="qaoa.portfolio")
        (counts,) = experiment.counts([portfolio_circuit(assets, found.angles)])
        solved = _Solved(assets, found, _kept(assets, Tally.of(counts)), shots)
        progress(1.0, "done")
        return experiment.result({**_result(solved), "circuit": experiment.circuit})


def layers_of(assets: Assets) -> Layers:
    """Return the layers over the portfolios, all alike at the start; values in standard deviations from the mean."""
    size = len(assets.portfolios)
    values = (assets.objectives - assets.objectives.mean()) / assets.unit
    start = np.full(size, size**-0.5, dtype=complex)
    return Layers(values, Exchanges(assets.portfolios, len(assets.names)), start)


def angles_for(assets: Assets, layers: int, progress: Progress) -> Found:
    """Refine the best of a few linear ramps by exact simulation of the portfolios alone."""
    model = layers_of(assets)
    steps = (np.arange(layers) + 0.5) / layers
    ramps = [np.concatenate([gamma * steps, beta * (1 - steps)]) for gamma, beta in _RAMPS]
    start = max(ramps, key=lambda angles: model.expectation(angles)[0])
    evaluations = evaluations_for(len(assets.portfolios), layers)
    return search(
        model.expectation,
        start,
        evaluations,
        lambda spent: progress(0.1 + 0.7 * min(1.0, spent / evaluations), f"evaluation {spent}"),
    )


def _kept(assets: Assets, tally: Tally) -> Tally:
    """Return the outcomes that keep the budget, as places among the portfolios. Raises AlgorithmError for none."""
    within = np.isin(tally.outcomes, assets.portfolios)
    if not within.any():
        raise AlgorithmError("no shot kept the budget: the device is too noisy for this circuit, or the shots too few")
    return Tally(np.searchsorted(assets.portfolios, tally.outcomes[within]), tally.shots[within])


def _result(solved: _Solved) -> dict[str, Any]:
    assets, found, tally = solved.assets, solved.found, solved.tally
    objectives = assets.objectives
    mean, error = tally.mean(objectives[tally.outcomes])
    best, worst = float(objectives.max()), float(objectives.min())
    span = best - worst
    optimal = objectives[tally.outcomes] >= best - 1e-9 * span
    return {
        "assets": len(assets.names),
        "budget": assets.budget,
        "risk_aversion": assets.risk_aversion,
        "expected_returns": assets.returns.tolist(),
        "covariance": assets.covariance.tolist(),
        "best_portfolio": _portfolio(solved, solved.best),
        "expectation": mean,
        "standard_error": error,
        "noiseless_expectation": found.expectation * assets.unit + float(objectives.mean()),
        "approximation_ratio": (mean - worst) / span if span else 1.0,
        "optimum_probability": float(tally.shots[optimal].sum() / solved.shots),
        "feasible_fraction": tally.total / solved.shots,
        "top_portfolios": [
            _portfolio(solved, int(tally.outcomes[place]))
            for place in np.lexsort((tally.outcomes, -tally.shots))[:MOST_OUTCOMES]
        ],
        "reference": {
            "portfolios": len(objectives),
            "best_classical": {
                "method": "enumeration of all portfolios",
                **_measures(assets, solved.exact),
            },
            "best_portfolio_gap": max(0.0, best - float(objectives[solved.best])),
            "random_objective": float(objectives.mean()),
        },
        "angles": {
            "gammas": found.gammas,
            "betas": found.betas,
            "unit": assets.unit,
            "optimizer": OPTIMIZER,
            "evaluations": found.evaluations,
        },
        "layers": len(found.betas),
        "shots": solved.shots,
        "picture": _picture(solved),
    }


def _measures(assets: Assets, place: int) -> dict[str, Any]:
    portfolio = int(assets.portfolios[place])
    return {
        "assets": [name for index, name in enumerate(assets.names) if portfolio >> index & 1],
        "objective": float(assets.objectives[place]),
        "expected_return": float(assets.expected[place]),
        "standard_deviation": float(np.sqrt(max(assets.variances[place], 0.0))),
    }


def _portfolio(solved: _Solved, place: int) -> dict[str, Any]:
    shots = solved.tally.shots[np.searchsorted(solved.tally.outcomes, place)]
    return {**_measures(solved.assets, place), "shots": int(shots)}


def _picture(solved: _Solved) -> str:
    assets = solved.assets
    risks = np.sqrt(np.maximum(assets.variances, 0.0))
    size = len(risks)
    shown = np.unique(np.linspace(0, size - 1, min(size, _MOST_DOTS)).astype(int))

    def dots(name: str, places: NDArray[np.int64]) -> Line:
        return Line(name, risks[places].tolist(), assets.expected[places].tolist(), "dots")

    best = _measures(assets, solved.best)
    exact = solved.best == solved.exact
    description = (
        f"Expected return over standard deviation of {len(shown)} of the {size} portfolios of {assets.budget} assets."
        f" The best that was measured holds {', '.join(best['assets'])}"
        f"{' and is the best of all' if exact else ', and is not the best of all'}."
    )
    series = [dots("portfolios", shown), dots("best measured", np.array([solved.best]))]
    if not exact:
        series.append(dots("best of all", np.array([solved.exact])))
    title = f"Portfolios of {assets.budget} out of {len(assets.names)} assets"
    return lines(title, description, series, x_axis="standard deviation", y_axis="expected return")
