"""The scoreboard: how right predictions and choices were, by the outcomes of the last jobs. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.routing.learning.beliefs import Beliefs
from services.routing.learning.outcome import Outcome
from services.routing.program import Forecast

_FEWEST_RANKED = 3
_LEAST_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right predictions were; zero everywhere where there are none."""

    count: int = 0
    mean_absolute_error: float = 0.0
    bias: float = 0.0
    """Mean of measured minus predicted."""
    coverage: float = 0.0
    rank_correlation: float = 0.0
    """Spearman's; 0 for fewer than three."""


@dataclass(frozen=True, slots=True)
class Regret:
    """What choices lost against the best of their candidates, by what is believed now."""

    choice_count: int = 0
    mean: float = 0.0
    """Of utility, whose unit is a fidelity of 1."""
    worst: float = 0.0


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate of a choice that was made, as it was judged then."""

    backend_id: str
    fidelity: float
    forecast: Forecast
    utility: float
    weight: float
    """Of the fidelity in the utility."""


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """What became of the last jobs beside what was said of them."""

    job_count: int
    failed_count: int
    start_time: dt.datetime | None
    end_time: dt.datetime | None
    fidelity: Accuracy
    time: Accuracy
    regret: Regret


def scoreboard(outcomes: Sequence[Outcome], choices: Sequence[Sequence[Option]], beliefs: Beliefs) -> Scoreboard:
    """The scoreboard of outcomes; `choices` are the candidates of each decision among several, the chosen one first."""
    times = [outcome.end_time for outcome in outcomes]
    return Scoreboard(
        job_count=len(outcomes),
        failed_count=sum(outcome.backend_fault for outcome in outcomes),
        start_time=min(times, default=None),
        end_time=max(times, default=None),
        fidelity=fidelity_accuracy(outcomes),
        time=time_accuracy(outcomes),
        regret=regret(choices, beliefs),
    )


def fidelity_accuracy(outcomes: Sequence[Outcome]) -> Accuracy:
    """Of fidelities that were measured: the interval of 90 % that was told, and whether it held."""
    rows = [
        (promise.fidelity, measured, promise.fidelity_low <= measured <= promise.fidelity_high)
        for outcome in outcomes
        if (promise := outcome.promise) is not None and (measured := outcome.measured_fidelity) is not None
    ]
    return _accuracy(rows)


def time_accuracy(outcomes: Sequence[Outcome]) -> Accuracy:
    """Of the time from acceptance to end, as logarithms: whether it stayed below the 90th percentile that was told."""
    rows = [
        (math.log(promise.seconds_p50), math.log(took), took <= promise.seconds_p90)
        for outcome in outcomes
        if (promise := outcome.promise) is not None
        and outcome.error_type is None
        and promise.seconds_p50 > _LEAST_SECONDS
        and (took := outcome.queue_seconds + outcome.run_seconds) > _LEAST_SECONDS
    ]
    return _accuracy(rows)


def regret(choices: Sequence[Sequence[Option]], beliefs: Beliefs) -> Regret:
    """What each choice lost against the best of its candidates, with the fidelities that are believed now.

    A model's word: what the others would have measured, nobody knows.
    """
    lost = []
    for options in choices:
        if len(options) > 1:
            now = [_utility(option, beliefs) for option in options]
            lost.append(max(now) - now[0])
    return Regret(len(lost), sum(lost) / len(lost), max(lost)) if lost else Regret()


def _utility(option: Option, beliefs: Beliefs) -> float:
    fidelity, _, _ = beliefs.fidelity_of(option.backend_id, option.forecast)
    return option.utility + option.weight * (fidelity - option.fidelity)


def _accuracy(rows: Sequence[tuple[float, float, bool]]) -> Accuracy:
    if not rows:
        return Accuracy()
    count = len(rows)
    errors = [measured - predicted for predicted, measured, _ in rows]
    return Accuracy(
        count=count,
        mean_absolute_error=sum(map(abs, errors)) / count,
        bias=sum(errors) / count,
        coverage=sum(held for _, _, held in rows) / count,
        rank_correlation=spearman([row[0] for row in rows], [row[1] for row in rows]),
    )


def spearman(left: Sequence[float], right: Sequence[float]) -> float:
    """The rank correlation, -1 to 1; 0 for fewer than three pairs, or where one side is all the same."""
    if len(left) < _FEWEST_RANKED:
        return 0.0
    a, b = _ranks(left), _ranks(right)
    middle = (len(left) - 1) / 2
    across = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    spread = math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))
    return across / spread if spread else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    """The places of values from 0 on; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = (start + end) / 2
        start = end + 1
    return ranks
