"""A European option, its price by Black and Scholes, and its payoff on a grid of prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from services.execution.algorithms.algorithm import ParameterError

REACH = 4.0
"""Standard deviations of the logarithm of the price that the grid spans to either side; 6e-5 lies outside."""


@dataclass(frozen=True, slots=True)
class Option:
    """A European option on a price that follows geometric Brownian motion; rates and volatility are a year's."""

    kind: str
    spot: float
    strike: float
    rate: float
    volatility: float
    years: float

    @property
    def discount(self) -> float:
        """Return today's worth of 1 at maturity."""
        return math.exp(-self.rate * self.years)

    @property
    def black_scholes(self) -> float:
        """Return the price in closed form (Black and Scholes, J. Political Economy 81, 637, 1973)."""
        spread = self.volatility * math.sqrt(self.years)
        ahead = (math.log(self.spot / self.strike) + self.rate * self.years) / spread + spread / 2
        sign = 1 if self.kind == "call" else -1
        kept, paid = (float(ndtr(sign * bound)) for bound in (ahead, ahead - spread))
        return sign * (self.spot * kept - self.strike * self.discount * paid)

    def prices(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the prices at maturity, without a preference for risk, at values of a standard normal variable."""
        drift = (self.rate - self.volatility**2 / 2) * self.years
        return np.asarray(self.spot * np.exp(drift + self.volatility * math.sqrt(self.years) * standard))

    def payoffs(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the option pays at prices."""
        sign = 1 if self.kind == "call" else -1
        return np.maximum(sign * (prices - self.strike), 0.0)


@dataclass(frozen=True, slots=True)
class Grid:
    """The option on 2^n prices, each for a cell of equal width of the price's logarithm and with its probability."""

    option: Option
    prices: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    payoffs: NDArray[np.float64]

    @classmethod
    def of(cls, option: Option, qubits: int) -> Grid:
        """Lay the grid. Raises ParameterError where no price on it pays."""
        edges = np.linspace(-REACH, REACH, (1 << qubits) + 1)
        inside = np.diff(ndtr(edges))
        prices = option.prices((edges[1:] + edges[:-1]) / 2)
        payoffs = option.payoffs(prices)
        if not payoffs.max() > 0:
            message = f"the option pays at no price on the grid, {prices[0]:.6g} to {prices[-1]:.6g}"
            raise ParameterError("parameters.strike", message)
        return cls(option, prices, inside / inside.sum(), payoffs)

    @property
    def qubits(self) -> int:
        """Return the qubits of the price."""
        return len(self.prices).bit_length() - 1

    @property
    def largest(self) -> float:
        """Return the largest payoff on the grid."""
        return float(self.payoffs.max())

    @property
    def amplitude(self) -> float:
        """Return the mean payoff as a share of the largest: the probability that is estimated."""
        return float(self.probabilities @ self.payoffs) / self.largest

    def value(self, amplitude: float) -> float:
        """Return an amplitude as a price of the option."""
        return self.option.discount * self.largest * amplitude

    def sampling_error(self, samples: int) -> float:
        """Return the standard error of a classical Monte Carlo estimate of the price on this grid."""
        mean = float(self.probabilities @ self.payoffs)
        variance = float(self.probabilities @ (self.payoffs - mean) ** 2)
        return self.option.discount * math.sqrt(variance / samples)


def grid_from(parameters: Mapping[str, Any]) -> Grid:
    """Return the option on its grid. Raises ParameterError."""
    names = ("spot", "strike", "rate", "volatility", "years")
    option = Option(str(parameters["kind"]), *(float(parameters[name]) for name in names))
    return Grid.of(option, int(parameters["price_qubits"]))
