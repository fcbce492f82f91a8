"""grover.search.v1 from parameters to result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from services.execution.algorithms import picture
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.grover.circuit import search_circuit
from services.execution.algorithms.grover.problem import Problem, iterations_from, problem_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_SHOWN = 16
"""Outcomes that the result lists, the most frequent first."""


class GroverRunner:
    """Searches."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Search once, `shots` times over; see `Runner.run`."""
        progress(0.0, "building the circuit")
        problem = problem_from(parameters)
        iterations = iterations_from(parameters, problem)
        progress(0.1, "searching")
        experiment = Experiment(device, shots=shots, seed=seed, purpose="grover")
        (texts,) = experiment.counts([search_circuit(problem, iterations)])
        counts = {int(text, 2): count for text, count in texts.items()}
        progress(1.0, "done")
        return experiment.result({**_result(problem, iterations, counts), "circuit": experiment.circuit})


def _result(problem: Problem, iterations: int, counts: Mapping[int, int]) -> dict[str, Any]:
    shots = sum(counts.values())
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    found = ranked[0]
    hits = sum(counts.get(value, 0) for value in problem.solutions)
    return {
        "qubits": problem.qubits,
        "solutions": len(problem.solutions),
        "iterations": iterations,
        "best_iterations": problem.best_iterations,
        "found": {
            "bits": problem.label(found),
            "assignment": problem.assignment(found),
            "is_solution": found in problem.solutions,
        },
        "success_probability": {
            "measured": hits / shots,
            "standard_error": math.sqrt(hits * (shots - hits) / shots) / shots,
            "theory": problem.success(iterations),
            "one_guess": len(problem.solutions) / problem.size,
        },
        "queries": _queries(problem, iterations, hits / shots),
        "outcomes": [
            {"bits": problem.label(value), "count": counts[value], "is_solution": value in problem.solutions}
            for value in ranked[:_SHOWN]
        ],
        "picture": _picture(problem, counts, ranked[:_SHOWN]),
    }


def _queries(problem: Problem, iterations: int, success: float) -> dict[str, Any]:
    """Compare the oracle's queries until a solution is known: each try takes the iterations and one check."""
    return {
        "quantum_expected": (iterations + 1) / success if success else None,
        "best_classical": {
            "method": "checking strings in random order, none twice",
            "queries_expected": problem.classical_queries,
        },
    }


def _picture(problem: Problem, counts: Mapping[int, int], shown: list[int]) -> str:
    shots = sum(counts.values())
    marked = [index for index, value in enumerate(shown) if value in problem.solutions]
    return picture.bars(
        "Grover search",
        f"Share of the shots of the {len(shown)} most frequent bit strings; solutions in the second colour.",
        [problem.label(value) for value in shown],
        [picture.Bars("share", [counts[value] / shots for value in shown], marked=marked)],
        axis="share of shots",
    )
