"""qpe.phase.v1 from parameters to result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms import picture
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.qpe.problem import Problem, problem_from, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_SHOWN = 16
"""Outcomes that the result lists, the most frequent first."""


class QpeRunner:
    """Estimates phases."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Estimate a phase; see `Runner.run`."""
        progress(0.0, "building the circuit")
        problem = problem_from(parameters)
        progress(0.1, "estimating the phase")
        experiment = Experiment(device, shots=shots, seed=seed, purpose="qpe")
        (texts,) = experiment.counts([problem.circuit()])
        counts = {int(text, 2): count for text, count in texts.items()}
        progress(1.0, "done")
        return experiment.result({**_result(problem, counts), "circuit": experiment.circuit})


def _result(problem: Problem, counts: Mapping[int, int]) -> dict[str, Any]:
    shots, size = sum(counts.values()), 1 << problem.counting
    expected = problem.distribution()
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    outcomes = [
        {
            "bits": f"{value:0{problem.counting}b}",
            "phase": value / size,
            "share": counts[value] / shots,
            "expected": min(1.0, float(expected[value])),
        }
        for value in ranked[:_SHOWN]
    ]
    found, share = ranked[0] / size, counts[ranked[0]] / shots
    exact = problem.nearest(found)
    error = float(signed(np.array(found - exact)))
    return {
        "unitary": {
            "kind": problem.unitary.kind,
            "qubits": problem.unitary.qubits,
            "trotter_error": problem.unitary.trotter_error,
        },
        "counting_qubits": problem.counting,
        "phase": found,
        "share": share,
        "share_standard_error": math.sqrt(share * (1 - share) / shots),
        "error_bound": problem.error_bound,
        "energy": _energy(problem, found, exact),
        "reference": {
            "error": error,
            "within_bound": abs(error) <= problem.error_bound,
            "best_classical": {"method": "diagonalisation of the matrix", "phase": exact},
            "eigenphases": [
                {"phase": float(phase), "weight": min(1.0, float(weight))}
                for phase, weight in zip(problem.phases, problem.weights, strict=True)
            ],
        },
        "outcomes": outcomes,
        "picture": _picture(problem, outcomes, exact),
    }


def _energy(problem: Problem, found: float, exact: float) -> dict[str, float] | None:
    """Turn phases into eigenvalues of H, which its bounded evolution keeps apart."""
    time = problem.unitary.time
    if time is None:
        return None
    found, exact = (float(signed(np.array(phase))) * 2 * math.pi / time for phase in (found, exact))
    return {"estimate": found, "error_bound": problem.error_bound * 2 * math.pi / time, "exact": exact}


def _picture(problem: Problem, outcomes: list[dict[str, Any]], exact: float) -> str:
    shown = sorted(outcomes, key=lambda outcome: outcome["phase"])
    return picture.bars(
        "Phase estimation",
        f"Shares of the most frequent outcomes of {problem.counting} counting qubits; the exact phase is {exact:.6g}.",
        [f"{outcome['phase']:.4f}" for outcome in shown],
        [
            picture.Bars("measured", [outcome["share"] for outcome in shown]),
            picture.Bars("expected", [outcome["expected"] for outcome in shown]),
        ],
        axis="share of shots",
    )
