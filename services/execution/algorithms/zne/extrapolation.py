"""From values at several noise scales to the value at none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Model = Literal["linear", "richardson", "exponential"]
MODELS: tuple[Model, ...] = ("linear", "richardson", "exponential")


@dataclass(frozen=True, slots=True)
class Trend:
    """A fit: its value at scale 0 with the standard error that the shots leave, and the curve it follows."""

    value: float
    standard_error: float
    curve: Callable[[float], float]


def extrapolated(
    model: Model,
    scales: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    asymptote: float,
) -> Trend | None:
    """Fit a model and follow it to scale 0; None where no exponential goes through the values.

    "linear": weighted least squares. "richardson": the polynomial through all points (Temme, Bravyi, Gambetta, Phys.
    Rev. Lett. 119, 180509 (2017)). "exponential": decay to `asymptote`, the value of the fully mixed state, fitted to
    the logarithms; it needs values on one side of it.
    """
    if model == "richardson":
        return _richardson(scales, values, errors)
    if model == "linear":
        return _linear(scales, values, errors)
    return _exponential(scales, values - asymptote, errors, asymptote)


def richardson_weights(scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of the values in the polynomial's value at 0: prod over others of s' / (s' - s)."""
    others = [np.delete(scales, place) for place in range(len(scales))]
    return np.array([np.prod(rest / (rest - scale)) for scale, rest in zip(scales, others, strict=True)])


def _richardson(scales: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]) -> Trend:
    weights = richardson_weights(scales)
    return Trend(
        float(weights @ values),
        float(np.linalg.norm(weights * errors)),
        lambda at: float(richardson_weights(scales - at) @ values),
    )


def _linear(scales: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]) -> Trend:
    (start, slope), covariance = _line(scales, values, errors)
    return Trend(start, math.sqrt(covariance), lambda at: start + slope * at)


def _exponential(
    scales: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64], asymptote: float
) -> Trend | None:
    sign = 1.0 if values[0] > 0 else -1.0
    if (sign * values <= 0).any():
        return None
    sizes = np.abs(values)
    (start, slope), variance = _line(scales, np.log(sizes), errors / sizes)
    height = sign * math.exp(start)
    return Trend(
        asymptote + height,
        abs(height) * math.sqrt(variance),
        lambda at: asymptote + height * math.exp(slope * at),
    )


def _line(
    scales: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[tuple[float, float], float]:
    """Return the start and the slope of the best line, and the variance of the start.

    A value without an error gets the least of the others': it was sampled all the same.
    """
    known = errors[errors > 0]
    spread = np.where(errors > 0, errors, known.min() if len(known) else 1.0)
    design = np.stack([np.ones_like(scales), scales], axis=1) / spread[:, None]
    inverse = np.linalg.pinv(design)
    start, slope = inverse @ (values / spread)
    variance = float((inverse[0] * (errors / spread)) @ (inverse[0] * (errors / spread)))
    return (float(start), float(slope)), variance
