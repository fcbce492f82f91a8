"""How late jobs are: nine of ten are to be within what is told."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from random import Random

import pytest

from services.routing.learning.lateness import FEWEST, Lateness, late
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import Outcome, Promise
from tests.unit.routing.learning.outcomes import START, outcome


@pytest.mark.parametrize("spread", [0.05, 0.5, 2.0])
def test_nine_of_ten_are_within_what_is_told_whatever_the_spread(spread: float):
    source, lateness, held = Random(7), Lateness(), 0
    for number in range(3000):
        took = 0.3 * math.exp(source.gauss(0, spread))
        if number >= 1000:
            factor = late(lateness.told(), "pool:sim", 0, "qsim")
            assert factor is not None
            held += took <= 0.3 * factor
        lateness.observe("pool:sim", 0, "qsim", told=0.3, took=took)
    assert 0.87 <= held / 2000 <= 0.93


def test_little_is_told_by_the_like_of_a_job_and_nothing_by_too_little():
    lateness = Lateness()
    for _ in range(FEWEST - 1):
        lateness.observe("pool:sim", 0, "qsim", told=1.0, took=2.0)
    assert late(lateness.told(), "pool:sim", 0, "qsim") is None
    lateness.observe("pool:sim", 0, "qsim", told=1.0, took=2.0)
    same = late(lateness.told(), "pool:sim", 0, "qsim")
    assert same == late(lateness.told(), "pool:sim", 500, "qsim")
    assert late(lateness.told(), "pool:sim", 0, "stim") is None
    assert late(lateness.told(), "ibm_boston", 0, "qsim") is None


def test_a_median_that_was_told_too_high_never_turns_the_interval_around():
    lateness = Lateness()
    for _ in range(200):
        lateness.observe("pool:sim", 0, "qsim", told=1.0, took=0.01)
    lateness.observe("pool:sim", 0, "qsim", told=0.0, took=1.0)
    assert late(lateness.told(), "pool:sim", 0, "qsim") == 1.0


def test_learning_believes_it_of_jobs_whose_queue_is_known():
    def ended(number: int, queue: str) -> Outcome:
        told = outcome("m0", 0.8, None, number=number)
        return replace(told, queue=queue, promise=Promise(0.8, 0.7, 0.9, 2.0, 9.0), run_seconds=3.0)

    learner = Learner()
    for number in range(30):
        learner.learn(ended(number, ""))
    assert learner.beliefs(START, "test").late == {}
    for number in range(60):
        learner.learn(ended(number, "pool:sim"))
    told = learner.beliefs(START + dt.timedelta(hours=1), "test").late
    assert late(told, "pool:sim", 0, "twin") == pytest.approx(1.5, rel=0.1)
