"""amplitude.option_pricing.v1 from parameters to result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms import picture
from services.execution.algorithms.amplitude.circuit import estimation_circuits, powers_of
from services.execution.algorithms.amplitude.likelihood import Fit, fit
from services.execution.algorithms.amplitude.option import Grid, grid_from
from services.execution.algorithms.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_CURVE = 240
"""Points of a curve in the picture."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    """How often each power hit, among `shots`, and the fit to that."""

    grid: Grid
    powers: list[int]
    hits: list[int]
    shots: int
    fit: Fit

    @property
    def queries(self) -> int:
        """Return how often A or its inverse was applied, over all shots: 2m + 1 times for power m."""
        return self.shots * sum(2 * power + 1 for power in self.powers)


class OptionRunner:
    """Prices options."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Run every power of the schedule, `shots` times each, and fit; see `Runner.run`."""
        progress(0.0, "building the circuits")
        grid = grid_from(parameters)
        powers = powers_of(int(parameters["amplifications"]))
        circuits = estimation_circuits(grid, powers)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="amplitude")
        progress(0.1, "amplifying")
        hits = [counts.get("1", 0) for counts in experiment.counts(circuits)]
        progress(0.9, "fitting")
        estimate = _Estimate(grid, powers, hits, shots, fit(powers, hits, shots))
        progress(1.0, "done")
        return experiment.result({**_result(estimate), "circuit": experiment.circuit})


def _result(estimate: _Estimate) -> dict[str, Any]:
    grid, found, option = estimate.grid, estimate.fit, estimate.grid.option
    price, exact, closed = grid.value(found.amplitude), grid.value(grid.amplitude), option.black_scholes
    return {
        "kind": option.kind,
        "price": price,
        "interval_95": [grid.value(end) for end in found.interval],
        "consistent": found.consistent,
        "p_value": found.p_value,
        "price_without_amplification": _plain(estimate),
        "reference": {
            "on_grid": exact,
            "estimation_error": price - exact,
            "grid_error": exact - closed,
            "best_classical": {"method": "Black-Scholes formula", "price": closed},
            "monte_carlo_standard_error": grid.sampling_error(estimate.queries),
        },
        "amplitude": {"estimate": found.amplitude, "exact": grid.amplitude, "largest_payoff": grid.largest},
        "grid": {
            "qubits": grid.qubits,
            "lowest_price": float(grid.prices[0]),
            "highest_price": float(grid.prices[-1]),
        },
        "queries": estimate.queries,
        "measurements": [
            {
                "power": power,
                "share": hits / estimate.shots,
                "fitted": math.sin((2 * power + 1) * found.theta) ** 2,
            }
            for power, hits in zip(estimate.powers, estimate.hits, strict=True)
        ],
        "picture": _picture(estimate),
    }


def _plain(estimate: _Estimate) -> dict[str, float]:
    """Return the price from the shots of power 0 alone, which noise spoils the least."""
    share = estimate.hits[0] / estimate.shots
    error = math.sqrt(share * (1 - share) / estimate.shots)
    return {"price": estimate.grid.value(share), "standard_error": estimate.grid.value(error)}


def _picture(estimate: _Estimate) -> str:
    shares = [hits / estimate.shots for hits in estimate.hits]
    curve = np.linspace(0, estimate.powers[-1], _CURVE)
    fitted = np.sin((2 * curve + 1) * estimate.fit.theta) ** 2
    return picture.lines(
        "Amplitude estimation",
        "The share of shots that pay after each number of amplifications, and the curve that explains them best.",
        [
            picture.Line("fitted", curve.tolist(), fitted.tolist()),
            picture.Line(
                "measured",
                [float(power) for power in estimate.powers],
                shares,
                shape="dots",
                errors=[math.sqrt(share * (1 - share) / estimate.shots) for share in shares],
            ),
        ],
        x_axis="power of Q",
        y_axis="share of shots",
    )
