"""How right predictions were."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from scipy import stats

from services.routing.benchmarks.scoreboard import Option, scoreboard, spearman
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.effects import Effect
from services.routing.learning.outcome import Outcome, Promise
from tests.unit.routing.learning.outcomes import forecast, outcome


def told(predicted: float, measured: float | None, **changes: object) -> Outcome:
    promise = Promise(predicted, predicted - 0.05, predicted + 0.05, 1.0, 2.0)
    return replace(outcome("m0", predicted, measured, **changes), promise=promise)  # type: ignore[arg-type]


def test_errors_bias_and_coverage_are_those_of_what_was_measured():
    board = scoreboard([told(0.9, 0.92), told(0.8, 0.7), told(0.7, 0.69), told(0.9, None)], [], Beliefs())
    assert board.job_count == 4
    assert board.fidelity.count == 3
    assert board.fidelity.mean_absolute_error == pytest.approx((0.02 + 0.1 + 0.01) / 3)
    assert board.fidelity.bias == pytest.approx((0.02 - 0.1 - 0.01) / 3)
    assert board.fidelity.coverage == pytest.approx(2 / 3)
    assert board.fidelity.rank_correlation == pytest.approx(1.0)


def test_time_is_promised_with_its_queue_and_kept_below_the_90th_percentile():
    slow = replace(told(0.9, 0.9), queue_seconds=3.0, run_seconds=1.0)
    board = scoreboard([slow, told(0.9, 0.9), told(0.9, None, error="server_error")], [], Beliefs())
    assert (board.time.count, board.time.coverage) == (2, 0.5)


def option(backend: str, fidelity: float, utility: float) -> Option:
    return Option(backend, fidelity, forecast(fidelity), utility, weight=1.0)


def test_regret_is_the_utility_that_the_best_candidate_has_over_the_chosen():
    choices = [
        [option("a", 0.9, 0.8), option("b", 0.95, 0.85)],
        [option("a", 0.9, 0.9), option("b", 0.8, 0.8)],
        [option("a", 0.9, 0.9)],
    ]
    board = scoreboard([], choices, Beliefs())
    assert board.regret.choice_count == 2
    assert board.regret.mean == pytest.approx(0.025)
    assert board.regret.worst == pytest.approx(0.05)


def test_a_choice_is_regretted_by_what_is_believed_now():
    worse = Beliefs(fidelity={"a": Effect(0.5, 0.01, 1.0)})
    board = scoreboard([], [[option("a", 0.9, 0.9), option("b", 0.89, 0.89)]], worse)
    assert board.regret.mean == pytest.approx(0.89 - 0.9**1.5)


def test_a_scoreboard_of_nothing_says_so():
    board = scoreboard([], [], Beliefs())
    assert (board.job_count, board.start_time, board.fidelity.count, board.regret.choice_count) == (0, None, 0, 0)


def test_the_rank_correlation_is_spearmans():
    source = random.Random(1)
    left = [round(source.random(), 1) for _ in range(40)]
    right = [round(source.random() + value, 1) for value in left]
    assert spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)
    assert spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == 0.0
