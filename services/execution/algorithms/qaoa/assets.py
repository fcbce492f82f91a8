"""The assets of a job: what they return, how they vary together, and what a choice of some of them is worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.algorithm import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Reals = NDArray[np.float64]

_ROUNDING = 1e-9
"""Relative to the largest variance: how far a covariance may be from symmetric, and its eigenvalues below zero."""


@dataclass(frozen=True)
class Assets:
    """Equally weighted portfolios of `budget` of the assets, worth return minus `risk_aversion` times variance.

    `returns` and `covariance` are per period of the data they came from.
    """

    names: tuple[str, ...]
    returns: Reals
    covariance: Reals
    budget: int
    risk_aversion: float

    @cached_property
    def portfolios(self) -> NDArray[np.int64]:
        """Return every choice, ascending; bit i is asset i."""
        chosen = combinations(range(len(self.names)), self.budget)
        return np.array(sorted(sum(1 << asset for asset in assets) for assets in chosen), dtype=np.int64)

    @cached_property
    def weights(self) -> Reals:
        """Return the weight of each asset (column) in each portfolio (row)."""
        bits = self.portfolios[:, None] >> np.arange(len(self.names)) & 1
        return np.asarray(bits / self.budget)

    @cached_property
    def expected(self) -> Reals:
        """Return the expected return of each portfolio."""
        return np.asarray(self.weights @ self.returns)

    @cached_property
    def variances(self) -> Reals:
        """Return the variance of each portfolio's return."""
        return np.asarray(np.einsum("pi,ij,pj->p", self.weights, self.covariance, self.weights))

    @cached_property
    def objectives(self) -> Reals:
        """Return what each portfolio is worth."""
        return self.expected - self.risk_aversion * self.variances

    @cached_property
    def unit(self) -> float:
        """Return the standard deviation of the objectives, in which the cost's angles are measured; never 0."""
        return float(self.objectives.std()) or 1.0

    def spins(self) -> tuple[Reals, Reals]:
        """Return the fields and the couplings (upper triangle) of the objective over `unit`, in Z = 1 - 2 x."""
        linear = self.returns / self.budget - self.risk_aversion * np.diag(self.covariance) / self.budget**2
        pairs = -2 * self.risk_aversion * np.triu(self.covariance, 1) / self.budget**2
        fields = -linear / 2 - (pairs + pairs.T).sum(axis=1) / 4
        return fields / self.unit, pairs / 4 / self.unit


def assets_of(parameters: Mapping[str, Any]) -> Assets:
    """Return the assets that validated parameters describe.

    Raises ParameterError where their numbers do not agree, and for a matrix that is no covariance.
    """
    if "prices" in parameters:
        returns, covariance = _from_prices(parameters["prices"])
    else:
        returns = np.array(parameters["expected_returns"], dtype=float)
        covariance = _covariance(parameters["covariance"], len(returns))
    names = parameters.get("names") or [f"asset {index}" for index in range(len(returns))]
    if len(names) != len(returns):
        raise ParameterError("parameters.names", f"are {len(names)} for {len(returns)} assets")
    budget = int(parameters["budget"])
    if budget >= len(returns):
        message = f"must be less than the number of assets, {len(returns)}: otherwise there is nothing to choose"
        raise ParameterError("parameters.budget", message)
    return Assets(tuple(names), returns, covariance, budget, float(parameters["risk_aversion"]))


def _from_prices(prices: list[list[float]]) -> tuple[Reals, Reals]:
    """Return the mean and the sample covariance of the returns from one price to the next."""
    for index, series in enumerate(prices):
        if len(series) != len(prices[0]):
            message = f"has {len(series)} prices, and the first asset {len(prices[0])}"
            raise ParameterError(f"parameters.prices[{index}]", message)
    table = np.array(prices, dtype=float)
    changes = table[:, 1:] / table[:, :-1] - 1.0
    return changes.mean(axis=1), np.cov(changes)


def _covariance(rows: list[list[float]], size: int) -> Reals:
    path = "parameters.covariance"
    if len(rows) != size:
        raise ParameterError(path, f"has {len(rows)} rows for {size} assets")
    for index, row in enumerate(rows):
        if len(row) != size:
            raise ParameterError(f"{path}[{index}]", f"has {len(row)} numbers for {size} assets")
    matrix = np.array(rows, dtype=float)
    least = _ROUNDING * max(float(np.abs(matrix).max()), 1e-300)
    if np.abs(matrix - matrix.T).max() > least:
        raise ParameterError(path, "is not symmetric")
    if np.linalg.eigvalsh(matrix)[0] < -size * least:
        raise ParameterError(path, "has a negative eigenvalue, and so is the covariance of nothing")
    return np.asarray((matrix + matrix.T) / 2)
