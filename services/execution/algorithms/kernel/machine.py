"""A support vector machine on a kernel matrix (Cortes and Vapnik, Machine Learning 20, 273, 1995)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from services.execution.algorithms.algorithm import AlgorithmError

_SUPPORT = 1e-6
"""A multiplier below this share of its bound is 0, and one as near to the bound is at it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What training gave: each training point's multiplier times its class, and the threshold."""

    weights: NDArray[np.float64]
    threshold: float

    def decisions(self, kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decision values of points, a row of kernels with the training points for each; class 1 above 0."""
        return np.asarray(kernel @ self.weights + self.threshold)

    @property
    def support_vectors(self) -> int:
        """Return how many training points matter."""
        return int(np.count_nonzero(self.weights))


def train(kernel: NDArray[np.float64], classes: NDArray[np.int64], regularization: float) -> Machine:
    """Solve the dual problem: maximise sum a - a Q a / 2 for 0 <= a <= C and a on either class alike.

    Shots can give a kernel matrix negative eigenvalues, with which the problem has no single solution: they are set to
    0. Raises AlgorithmError where the optimiser does not come to an end.
    """
    values, vectors = np.linalg.eigh(kernel)
    kernel = (vectors * np.clip(values, 0, None)) @ vectors.T
    quadratic = np.outer(classes, classes) * kernel
    found = minimize(
        lambda a: 0.5 * a @ quadratic @ a - a.sum(),
        np.zeros(len(classes)),
        jac=lambda a: quadratic @ a - 1,
        bounds=[(0, regularization)] * len(classes),
        constraints={"type": "eq", "fun": lambda a: classes @ a, "jac": lambda _a: classes.astype(float)},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    if not found.success:
        raise AlgorithmError(f"the support vector machine cannot be trained: {found.message}")
    multipliers = np.clip(found.x, 0, regularization)
    multipliers[multipliers < _SUPPORT * regularization] = 0
    weights = multipliers * classes
    return Machine(weights, _threshold(kernel @ weights, multipliers, classes, regularization))


def _threshold(
    values: NDArray[np.float64],
    multipliers: NDArray[np.float64],
    classes: NDArray[np.int64],
    regularization: float,
) -> float:
    """Return the threshold that puts points between the bounds on their margin; else the middle of what is allowed."""
    gaps = classes - values
    free = (multipliers > 0) & (multipliers < (1 - _SUPPORT) * regularization)
    if free.any():
        return float(gaps[free].mean())
    at_bound = multipliers > 0
    # Points of class 1 at 0, and of class -1 at the bound, want at least their gap; the others at most theirs.
    least = gaps[(classes > 0) != at_bound]
    most = gaps[(classes > 0) == at_bound]
    ends = [
        float(end)
        for group, end in ((least, least.max(initial=-np.inf)), (most, most.min(initial=np.inf)))
        if len(group)
    ]
    return sum(ends) / len(ends)
