"""circuit.estimate.v1: expectation values of Pauli observables, with error bars or exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms import picture
from services.execution.algorithms.algorithm import AlgorithmResult, ParameterError
from services.execution.algorithms.circuit import measures
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.primitives.expectation import expectation, readings
from services.execution.algorithms.primitives.paulis import IDENTITY, shares
from services.execution.algorithms.primitives.problem import Problem, measuring, problem_from
from services.execution.programs.measure import features_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import Progress
    from services.execution.algorithms.primitives.parameter_sets import BoundProgram
    from services.execution.engines.device import Device


@dataclass(frozen=True, slots=True)
class Estimates:
    """The values of all observables in one state, and their standard errors, None where they are exact."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64] | None


class EstimateRunner:
    """Estimates observables."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Estimate every observable in every state, with `shots` shots for each state; see `Runner.run`."""
        progress(0.0, "parsing")
        problem = problem_from(parameters)
        if problem.exact and not device.ideal:
            message = "exact values are known to noise-free simulators alone; choose sampled, or one as hardware"
            raise ParameterError("parameters.precision", message)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="estimate")
        given = _shares(problem, shots)
        if given and not device.ideal:
            pairs = list(zip(problem.settings, given, strict=True))
            experiment.expect(
                [(measuring(state.bare, each), share) for state in problem.states for each, share in pairs]
            )
        found = []
        for number, state in enumerate(problem.states):
            progress(0.1 + 0.9 * number / len(problem.states), f"state {number + 1} of {len(problem.states)}")
            exact = problem.exact
            found.append(_exact(problem, state, device) if exact else _sampled(problem, state, given, experiment))
        progress(1.0, "done")
        result = _result(problem, found, given, shots)
        if given:
            return experiment.result(result)
        return AlgorithmResult(result, 1.0, "exact", problem.qubits)


def _shares(problem: Problem, shots: int) -> list[int]:
    try:
        return shares(problem.settings, shots)
    except ValueError as error:
        raise ParameterError("parameters.observables", f"{error}; ask for more") from error


def _exact(problem: Problem, bound: BoundProgram, device: Device) -> Estimates:
    state = device.statevector(bound.bare)
    known: dict[Any, float] = {}
    for observable in problem.observables:
        for string in observable.terms:
            known.setdefault(string, expectation(state, string) if string not in known else known[string])
    values = [
        math.fsum(coefficient * known[string] for string, coefficient in observable.terms.items())
        for observable in problem.observables
    ]
    return Estimates(np.array(values), None)


def _sampled(problem: Problem, state: BoundProgram, given: Sequence[int], experiment: Experiment) -> Estimates:
    """Measure in every setting; what an observable is worth in a shot is a number, so its terms' errors correlate."""
    values = np.array([observable.terms.get(IDENTITY, 0.0) for observable in problem.observables])
    variances = np.zeros(len(values))
    for setting, shots in zip(problem.settings, given, strict=True):
        outcome = experiment.run(measuring(state.bare, setting), shots=shots)
        coefficients = np.array(
            [[observable.terms.get(string, 0.0) for observable in problem.observables] for string in setting.strings]
        )
        mean, spread = readings(outcome.counts, setting, coefficients)
        values += mean
        variances += spread / shots
    return Estimates(values, np.sqrt(variances))


def _result(problem: Problem, found: Sequence[Estimates], given: Sequence[int], shots: int) -> dict[str, Any]:
    told = [
        {
            "input_set": state.input_set,
            "inputs": dict(state.inputs),
            "observable_index": index,
            "name": observable.name,
            "terms": len(observable.terms),
            "value": float(estimates.values[index]),
            "standard_error": None if estimates.errors is None else float(estimates.errors[index]),
        }
        for state, estimates in zip(problem.states, found, strict=True)
        for index, observable in enumerate(problem.observables)
    ]
    first = problem.states[0]
    return {
        "estimates": told,
        "precision": "exact" if problem.exact else "sampled",
        "shots": shots if given else 0,
        "settings": [
            {"basis": setting.basis.text(problem.qubits), "terms": len(setting.strings), "shots": share}
            for setting, share in zip(problem.settings, given, strict=True)
        ],
        "openqasm_version": first.program.version,
        "circuit": measures(features_of(first.bare)),
        "picture": _picture(told[: picture.MOST_BARS]),
    }


def _picture(told: Sequence[Mapping[str, Any]]) -> str:
    errors = [one["standard_error"] or 0.0 for one in told]
    return picture.bars(
        "Expectation values",
        f"The first {len(told)} estimates; whiskers are one standard error to either side.",
        [str(one["name"]) for one in told],
        [picture.Bars("value", [one["value"] for one in told], errors)],
        axis="value",
    )
