"""zne.estimate.v1 from parameters to result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.picture import Line, lines
from services.execution.algorithms.primitives.expectation import expectation, readings
from services.execution.algorithms.primitives.problem import measuring
from services.execution.algorithms.zne.extrapolation import MODELS, Model, Trend, extrapolated
from services.execution.algorithms.zne.request import Request, request_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_CURVE_POINTS = 60
_LEAST_SHOTS = 2
_IDEAL = "the device has no noise: the values differ by sampling alone, and extrapolating widens the error bar"
_NO_DECAY = "the values change sign, so no exponential decay goes through them; the linear fit stands in its place"


@dataclass(frozen=True, slots=True)
class _Measured:
    """The values at the scales that were reached, with standard errors, and the models that fit them."""

    scales: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    trends: Mapping[Model, Trend | None]
    chosen: Model


class ZneRunner:
    """Folds, measures and extrapolates."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Estimate the value without noise; see `Runner.run`."""
        progress(0.0, "folding the circuit")
        if shots < _LEAST_SHOTS:
            raise AlgorithmError(f"a single shot has no error bar; take at least {_LEAST_SHOTS}")
        request = request_of(parameters)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="zne")
        points = []
        for place, fold in enumerate(request.folds):
            progress(0.1 + 0.8 * place / len(request.folds), f"noise scale {fold.scale:g}")
            points.append(_value(request, fold.circuit, experiment, shots))
        progress(0.9, "extrapolating")
        measured = _fit(request, np.array(points), parameters["extrapolation"])
        exact = _exact(request) if request.simulable else None
        progress(1.0, "done")
        notes = [_IDEAL] if device.ideal else []
        if measured.chosen != parameters["extrapolation"]:
            notes.append(_NO_DECAY)
        return experiment.result(
            {**_result(request, measured, exact, shots), "notes": notes, "circuit": experiment.circuit}
        )


def _value(request: Request, circuit: QuantumCircuit, experiment: Experiment, shots: int) -> tuple[float, float]:
    """Return the observable's mean and standard error on a folded circuit, a run for each setting."""
    value, variance = request.constant, 0.0
    for setting in request.settings:
        counts = experiment.run(measuring(circuit, setting)).counts
        coefficients = np.array([[request.observable[string]] for string in setting.strings])
        (mean,), (spread,) = readings(counts, setting, coefficients)
        value += float(mean)
        variance += float(spread) / shots
    return value, math.sqrt(variance)


def _fit(request: Request, points: NDArray[np.float64], asked: Model) -> _Measured:
    scales = np.array([fold.scale for fold in request.folds])
    values, errors = points.T
    trends = {model: extrapolated(model, scales, values, errors, request.constant) for model in MODELS}
    return _Measured(scales, values, errors, trends, asked if trends[asked] is not None else "linear")


def _exact(request: Request) -> float:
    state = Statevector(request.circuit).data
    return sum(coefficient * expectation(state, string) for string, coefficient in request.observable.items())


def _result(request: Request, measured: _Measured, exact: float | None, shots: int) -> dict[str, Any]:
    best = measured.trends[measured.chosen]
    assert best is not None  # noqa: S101 - the choice fell on a fit that there is
    raw = float(measured.values[0])
    return {
        "mitigated": {"value": best.value, "standard_error": best.standard_error, "extrapolation": measured.chosen},
        "raw": {"value": raw, "standard_error": float(measured.errors[0]), "scale_factor": float(measured.scales[0])},
        "fits": {
            model: None if trend is None else {"value": trend.value, "standard_error": trend.standard_error}
            for model, trend in measured.trends.items()
        },
        "points": [
            {
                "scale_factor": float(scale),
                "value": float(value),
                "standard_error": float(error),
                "gates": fold.circuit.size(lambda item: item.name != "barrier"),
            }
            for scale, value, error, fold in zip(
                measured.scales, measured.values, measured.errors, request.folds, strict=True
            )
        ],
        "measurement_settings": len(request.settings),
        "shots_per_circuit": shots,
        "reference": {
            "best_classical": None if exact is None else {"method": "exact state-vector simulation", "value": exact},
            "raw_error": None if exact is None else raw - exact,
            "mitigated_error": None if exact is None else best.value - exact,
        },
        "picture": _picture(measured, best, exact),
    }


def _picture(measured: _Measured, best: Trend, exact: float | None) -> str:
    last = float(measured.scales[-1])
    across = np.linspace(0.0, last, _CURVE_POINTS).tolist()
    series = [
        Line(f"{measured.chosen} fit", across, [best.curve(x) for x in across]),
        Line("at 0", [0.0], [best.value], "dots", [best.standard_error]),
        Line("measured", measured.scales.tolist(), measured.values.tolist(), "dots", measured.errors.tolist()),
    ]
    if exact is not None:
        series.append(Line("exact", [0.0, last], [exact, exact], "dashed"))
    description = (
        f"The observable at {len(measured.scales)} noise scales and the {measured.chosen} fit down to scale 0, which"
        f" gives {best.value:.4g}{'' if exact is None else f'; without noise it is {exact:.4g}'}."
    )
    return lines("Zero-noise extrapolation", description, series, x_axis="noise scale", y_axis="value")
