"""kernel.classifier.v1 from parameters to result."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms import picture
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.kernel.feature_map import FeatureMap, feature_map_from
from services.execution.algorithms.kernel.machine import Machine, train
from services.execution.algorithms.kernel.points import Points, points_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The kernel of the training points with one another, and of the test points with them, one a row."""

    train: NDArray[np.float64]
    test: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Classifier:
    """A machine trained on a kernel, and what it makes of the points."""

    points: Points
    kernel: _Kernel
    machine: Machine

    @classmethod
    def on(cls, points: Points, kernel: _Kernel, regularization: float) -> _Classifier:
        """Train. Raises AlgorithmError."""
        return cls(points, kernel, train(kernel.train, points.train_classes, regularization))

    @property
    def train_accuracy(self) -> float:
        """Return the share of the training points that are put into their class."""
        return float(np.mean(_classes(self.machine.decisions(self.kernel.train)) == self.points.train_classes))

    @property
    def test_accuracy(self) -> float | None:
        """Return the share of the test points that are put into their class; None where there are none."""
        if not len(self.points.test):
            return None
        return float(np.mean(_classes(self.machine.decisions(self.kernel.test)) == self.points.test_classes))

    def told(self) -> dict[str, Any]:
        """Return what results tell of it."""
        decisions = self.machine.decisions(self.kernel.test)
        return {
            "train_accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "support_vectors": self.machine.support_vectors,
            "test_predictions": [int(one > 0) for one in _classes(decisions)],
            "test_decisions": decisions.tolist(),
        }


class KernelRunner:
    """Classifies."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Measure the kernel, `shots` times for each pair of points, then train and test; see `Runner.run`."""
        progress(0.0, "building the circuits")
        points, feature_map = points_from(parameters), feature_map_from(parameters)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="kernel")
        kernel = _measured(points, feature_map, experiment, shots=shots, progress=progress)
        progress(0.95, "training")
        exact = _Kernel(feature_map.exact(points.train, points.train), feature_map.exact(points.test, points.train))
        gaussian = _Kernel(_gaussian(points.train, points.train), _gaussian(points.test, points.train))
        regularization = float(parameters["regularization"])
        found = [_Classifier.on(points, one, regularization) for one in (kernel, exact, gaussian)]
        progress(1.0, "done")
        return experiment.result({**_result(*found, shots=shots), "circuit": experiment.circuit})


def _measured(
    points: Points, feature_map: FeatureMap, experiment: Experiment, *, shots: int, progress: Progress
) -> _Kernel:
    """Measure the share of zeros for every pair; a point with itself has 1."""
    count = len(points.train)
    pairs = list(itertools.combinations(range(count), 2))
    tests = itertools.product(range(count, count + len(points.test)), range(count))
    circuits = feature_map.overlaps(np.concatenate([points.train, points.test]), [*pairs, *tests])
    zeros = "0" * points.features
    counts = experiment.counts(circuits, done=lambda part: progress(0.05 + 0.9 * part, "measuring the kernel"))
    shares = np.array([one.get(zeros, 0) / shots for one in counts])
    square = np.eye(count)
    for (one, other), share in zip(pairs, shares, strict=False):
        square[one, other] = square[other, one] = share
    return _Kernel(square, shares[len(pairs) :].reshape(len(points.test), count))


def _gaussian(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return exp(-d^2 / features) for the distances of points whose features have variance 1."""
    squares = ((left[:, None] - right[None]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-squares / left.shape[1]))


def _classes(decisions: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.where(decisions > 0, 1, -1)


def _result(quantum: _Classifier, exact: _Classifier, gaussian: _Classifier, *, shots: int) -> dict[str, Any]:
    points = quantum.points
    errors = np.concatenate(
        [(quantum.kernel.train - exact.kernel.train).ravel(), (quantum.kernel.test - exact.kernel.test).ravel()]
    )
    return {
        "features": points.features,
        "train_points": len(points.train),
        "test_points": len(points.test),
        "pairs": points.pairs,
        "quantum": quantum.told(),
        "kernel": {
            "train": quantum.kernel.train.tolist(),
            "test": quantum.kernel.test.tolist(),
            "largest_standard_error": _largest_error(quantum.kernel, shots),
            "smallest_eigenvalue": float(np.linalg.eigvalsh(quantum.kernel.train)[0]),
        },
        "reference": {
            "kernel_error": {
                "largest": float(np.abs(errors).max()),
                "root_mean_square": math.sqrt(float(np.mean(errors**2))),
            },
            "exact_kernel": exact.told(),
            "best_classical": {
                "method": "support vector machine with a Gaussian kernel, exp(-distance^2 / features)",
                **gaussian.told(),
            },
        },
        "picture": _picture(quantum, exact, gaussian),
    }


def _largest_error(kernel: _Kernel, shots: int) -> float:
    shares = np.concatenate([kernel.train.ravel(), kernel.test.ravel()])
    return math.sqrt(float((shares * (1 - shares)).max()) / shots)


def _picture(quantum: _Classifier, exact: _Classifier, gaussian: _Classifier) -> str:
    names = ("measured kernel", "exact kernel", "Gaussian kernel")
    labels, found = ["training"], [[one.train_accuracy] for one in (quantum, exact, gaussian)]
    if len(quantum.points.test):
        labels.append("test")
        for accuracies, one in zip(found, (quantum, exact, gaussian), strict=True):
            accuracies.append(one.test_accuracy or 0.0)
    return picture.bars(
        "Accuracy of the classifiers",
        "The share of points in their class: by the kernel that was measured, its exact values, and a Gaussian one.",
        labels,
        [picture.Bars(name, accuracies) for name, accuracies in zip(names, found, strict=True)],
        axis="accuracy",
    )
