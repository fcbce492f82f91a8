"""shor.factor.v1 from parameters to result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.execution.algorithms import picture
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.shor.order import Order, factors_from
from services.execution.algorithms.shor.problem import Problem, problem_from
from services.execution.engines.sampling import generator

if TYPE_CHECKING:
    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_MOST_DRAWN = 4
_SIGNIFICANT = 3
"""Standard errors."""
_SHOWN = 16
"""Outcomes that the result lists, the most frequent first."""
_PRECOMPUTED = (
    "The powers base^(2^k) modulo the number and the table of each permutation x -> base^(2^k) x, from which the "
    "circuits were made. The table alone tells the order, so this shows how Shor's algorithm works and no advantage "
    "over a classical computer."
)
_EXPLANATIONS = {
    "factors": "The order is even and base^(order/2) is not -1: both base^(order/2) - 1 and + 1 share a factor.",
    "odd_order": "The order is odd, so that base^(order/2) does not exist; another base is needed.",
    "trivial_root": "base^(order/2) is -1 modulo the number, a square root of 1 without a factor; another is needed.",
    "no_order": "No outcome was a fraction whose denominator passed the test base^denominator = 1.",
}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the counts of one base gave: the smallest denominator that passed the test is taken for the order."""

    order: Order
    counts: Mapping[int, int]

    @property
    def found(self) -> int | None:
        """Return the order that was read, None where no outcome gave one."""
        read = [order for outcome in self.counts if (order := self.order.read(outcome)) is not None]
        return min(read, default=None)

    @property
    def factors(self) -> tuple[int, int] | None:
        """Return the factors, where the order gives them."""
        found = self.found
        return None if found is None else factors_from(self.order.number, self.order.base, found)

    @property
    def status(self) -> str:
        """Return how it ended, a key of the explanations."""
        found = self.found
        if found is None:
            return "no_order"
        if self.factors is not None:
            return "factors"
        return "odd_order" if found % 2 else "trivial_root"


class ShorRunner:
    """Factors."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Find orders until one gives the factors, or of every base that was asked for; see `Runner.run`."""
        progress(0.0, "choosing bases")
        problem = problem_from(parameters)
        bases = problem.bases or _drawn(problem, seed)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="shor")
        attempts: list[_Attempt] = []
        for place, base in enumerate(bases):
            progress(0.05 + 0.9 * place / len(bases), f"finding the order of {base}")
            order = problem.order(base)
            (texts,) = experiment.counts([order.circuit()])
            attempts.append(_Attempt(order, {int(text, 2): count for text, count in texts.items()}))
            if attempts[-1].factors is not None and not problem.bases:
                break
        progress(1.0, "done")
        return experiment.result({**_result(problem, attempts), "circuit": experiment.circuit})


def _drawn(problem: Problem, seed: int) -> list[int]:
    drawn = generator(seed, "shor.bases").permutation(problem.choices)[:_MOST_DRAWN]
    return [int(base) for base in drawn]


def _result(problem: Problem, attempts: list[_Attempt]) -> dict[str, Any]:
    factors = next((attempt.factors for attempt in attempts if attempt.factors is not None), None)
    smallest = next(divisor for divisor in range(2, problem.number) if problem.number % divisor == 0)
    return {
        "number": problem.number,
        "counting_qubits": problem.counting,
        "factors": None if factors is None else list(factors),
        "attempts": [_attempt(attempt) for attempt in attempts],
        "precomputed": _PRECOMPUTED,
        "best_classical": {
            "method": "trial division",
            "factors": [smallest, problem.number // smallest],
            "divisions": smallest - 1,
        },
        "picture": _picture(next((one for one in attempts if one.factors is not None), attempts[-1])),
    }


def _attempt(attempt: _Attempt) -> dict[str, Any]:
    order, counts = attempt.order, attempt.counts
    shots, exact = sum(counts.values()), order.value
    expected = order.distribution()
    telling = [outcome for outcome in range(len(expected)) if order.read(outcome) == exact]
    share = sum(counts.get(outcome, 0) for outcome in telling) / shots
    error, chance = math.sqrt(share * (1 - share) / shots), len(telling) / len(expected)
    return {
        "base": order.base,
        "order": attempt.found,
        "exact_order": exact,
        "status": attempt.status,
        "explanation": _EXPLANATIONS[attempt.status],
        "order_share": share,
        "order_share_standard_error": error,
        "order_share_theory": float(expected[telling].sum()),
        "order_share_at_random": chance,
        "above_chance": share - _SIGNIFICANT * error > chance,
        "outcomes": [
            {
                "bits": f"{outcome:0{order.counting}b}",
                "count": counts[outcome],
                "fraction": str(order.fraction(outcome)),
                "order": order.read(outcome),
            }
            for outcome in _ranked(counts)
        ],
    }


def _ranked(counts: Mapping[int, int]) -> list[int]:
    return sorted(counts, key=lambda outcome: (-counts[outcome], outcome))[:_SHOWN]


def _picture(attempt: _Attempt) -> str:
    counts, order = attempt.counts, attempt.order
    shots, expected = sum(counts.values()), order.distribution()
    shown = sorted(_ranked(counts))
    marked = [place for place, outcome in enumerate(shown) if order.read(outcome) == order.value]
    return picture.bars(
        f"Order of {order.base} modulo {order.number}",
        f"The most frequent outcomes beside theory; the marked ones are fractions over the order {order.value}.",
        [str(order.fraction(outcome)) for outcome in shown],
        [
            picture.Bars("measured", [counts[outcome] / shots for outcome in shown], marked=marked),
            picture.Bars("theory", [float(expected[outcome]) for outcome in shown]),
        ],
        axis="share of shots",
    )
