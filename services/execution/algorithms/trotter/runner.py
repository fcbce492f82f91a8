"""trotter.ising.v1 from parameters to result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.experiment import Experiment, described, program_from
from services.execution.algorithms.picture import Line, lines
from services.execution.algorithms.tally import Tally
from services.execution.algorithms.trotter.circuit import COMPARED_SPINS, trotter_circuit
from services.execution.algorithms.trotter.evolution import exact_states, trotter_states
from services.execution.algorithms.trotter.model import Model, model_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device


@dataclass(frozen=True, slots=True)
class _Ideal:
    """What both ways of evolving give without noise and sampling, by time: rows of (magnetisation, correlation)."""

    exact: NDArray[np.float64]
    formula: NDArray[np.float64]
    infidelity: float


class TrotterRunner:
    """Evolves and measures."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Measure the model along its way; see `Runner.run`."""
        progress(0.0, "building the circuits")
        model = model_of(parameters)
        circuits = [trotter_circuit(model, point + 1) for point in range(model.points)]
        experiment = Experiment(device, shots=shots, seed=seed, purpose="trotter")
        counts = experiment.counts(circuits, done=lambda part: progress(0.1 + 0.6 * part, "evolving on the device"))
        tallies = [Tally.of(each) for each in counts]
        progress(0.7, "evolving exactly")
        ideal = _ideal(model) if model.spins <= COMPARED_SPINS else None
        progress(1.0, "done")
        measures = described(program_from(circuits[-1]).features)
        return experiment.result({**_result(model, tallies, ideal), "shots_per_point": shots, "circuit": measures})


def _ideal(model: Model) -> _Ideal:
    """Evolve both ways, over all states."""
    both = observables(model, np.arange(1 << model.spins))
    exact, formula, infidelity = [], [], 0.0
    for true, approximate in zip(exact_states(model), trotter_states(model), strict=True):
        exact.append(both @ np.abs(true) ** 2)
        formula.append(both @ np.abs(approximate) ** 2)
        infidelity = max(0.0, 1.0 - float(abs(np.vdot(true, approximate)) ** 2))
    return _Ideal(np.array(exact), np.array(formula), infidelity)


def observables(model: Model, outcomes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return two rows: the mean of Z over the spins, and of Z Z over the edges, in each outcome."""
    bits = outcomes[None, :] >> np.arange(model.spins)[:, None] & 1
    spins = 1.0 - 2.0 * bits
    first, second = np.array(model.edges).T
    return np.stack([spins.mean(axis=0), (spins[first] * spins[second]).mean(axis=0)])


def _result(model: Model, tallies: Sequence[Tally], ideal: _Ideal | None) -> dict[str, Any]:
    measured = np.array(
        [[tally.mean(values) for values in observables(model, tally.outcomes)] for tally in tallies]
    )  # by time, observable, and (mean, standard error)
    last = tallies[-1]
    return {
        "spins": model.spins,
        "edges": len(model.edges),
        "order": model.order,
        "step": model.step,
        "points": [_point(model, index, row, ideal) for index, row in enumerate(measured)],
        "final_magnetization_by_spin": [
            last.mean(np.where(last.outcomes >> spin & 1, -1.0, 1.0))[0] for spin in range(model.spins)
        ],
        "trotter_error": None
        if ideal is None
        else {
            "magnetization": float(np.abs(ideal.formula - ideal.exact)[:, 0].max()),
            "correlation": float(np.abs(ideal.formula - ideal.exact)[:, 1].max()),
            "final_state_infidelity": ideal.infidelity,
        },
        "reference": {"best_classical": None if ideal is None else _classical(ideal)},
        "picture": _picture(model, measured, ideal),
    }


def _classical(ideal: _Ideal) -> dict[str, Any]:
    return {
        "method": "exact time evolution over all states",
        "final_magnetization": float(ideal.exact[-1, 0]),
        "final_correlation": float(ideal.exact[-1, 1]),
    }


def _point(model: Model, index: int, row: NDArray[np.float64], ideal: _Ideal | None) -> dict[str, Any]:
    point: dict[str, Any] = {"time": model.times[index]}
    for column, name in enumerate(("magnetization", "correlation")):
        point[name] = float(row[column, 0])
        point[f"{name}_error"] = float(row[column, 1])
        point[f"exact_{name}"] = None if ideal is None else float(ideal.exact[index, column])
        point[f"trotter_{name}"] = None if ideal is None else float(ideal.formula[index, column])
    return point


def _picture(model: Model, measured: NDArray[np.float64], ideal: _Ideal | None) -> str:
    series = [
        Line(f"{name}, measured", model.times, measured[:, column, 0].tolist(), "dots", measured[:, column, 1].tolist())
        for column, name in enumerate(("⟨Z⟩", "⟨ZZ⟩"))
    ]
    if ideal is not None:
        series += [
            Line("⟨Z⟩, exact", model.times, ideal.exact[:, 0].tolist(), "solid"),
            Line("⟨ZZ⟩, exact", model.times, ideal.exact[:, 1].tolist(), "dashed"),
        ]
    description = (
        f"Mean magnetisation and mean correlation of neighbours of {model.spins} spins at {model.points} times up to"
        f" {model.time:g}, with one standard error{'' if ideal is None else ', beside the exact evolution'}."
    )
    return lines(f"Ising dynamics of {model.spins} spins", description, series, x_axis="time", y_axis="mean")
