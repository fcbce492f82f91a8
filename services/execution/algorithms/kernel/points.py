"""The points of a classification, brought to one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.execution.algorithms.algorithm import ParameterError

MOST_POINTS = 40
"""Of training and test together: every pair of them is a circuit."""


@dataclass(frozen=True, slots=True)
class Points:
    """Points, one a row, to train on and to test with; classes are -1 (label 0) and 1 (label 1).

    Every feature has mean 0 and standard deviation 1 over the training points; a feature that is the same in all of
    them is 0. There may be no test points.
    """

    train: NDArray[np.float64]
    train_classes: NDArray[np.int64]
    test: NDArray[np.float64]
    test_classes: NDArray[np.int64]

    @property
    def features(self) -> int:
        """Return the number of features."""
        return int(self.train.shape[1])

    @property
    def pairs(self) -> int:
        """Return the pairs whose kernel is measured: all of training points, and each test point with all of them."""
        count = len(self.train)
        return count * (count - 1) // 2 + len(self.test) * count


def points_from(parameters: Mapping[str, Any]) -> Points:
    """Return the points. Raises ParameterError."""
    width = len(parameters["train"]["points"][0])
    train, train_classes = _labelled(parameters["train"], "parameters.train", width)
    test, test_classes = np.empty((0, width)), np.empty(0, dtype=np.int64)
    if "test" in parameters:
        test, test_classes = _labelled(parameters["test"], "parameters.test", width)
    if len(train) + len(test) > MOST_POINTS:
        message = f"{len(train)} training and {len(test)} test points are more than {MOST_POINTS}"
        raise ParameterError("parameters.test.points", message)
    if len(set(train_classes.tolist())) == 1:
        raise ParameterError("parameters.train.labels", "must hold both 0 and 1")
    middle, spread = train.mean(axis=0), train.std(axis=0)
    spread[spread <= np.finfo(float).eps * np.abs(train).max(axis=0)] = np.inf
    return Points((train - middle) / spread, train_classes, (test - middle) / spread, test_classes)


def _labelled(
    part: Mapping[str, Sequence[Any]], path: str, width: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    points, labels = part["points"], part["labels"]
    for index, point in enumerate(points):
        if len(point) != width:
            message = f"has {len(point)} features where the first training point has {width}"
            raise ParameterError(f"{path}.points[{index}]", message)
    if len(labels) != len(points):
        raise ParameterError(f"{path}.labels", f"must be as many as the {len(points)} points")
    return np.array(points, dtype=np.float64), 2 * np.array(labels, dtype=np.int64) - 1
