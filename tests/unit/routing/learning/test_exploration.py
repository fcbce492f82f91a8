"""Exploration is bounded, for those alone who do not pay, and finds what is better than was believed."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from services.routing.learning.exploration import EPSILON, Prospect, may_explore, pick
from services.routing.program import Environment

utilities = st.lists(st.floats(-1, 1), min_size=1, max_size=12).map(lambda values: sorted(values, reverse=True))


@given(values=utilities, deviation=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_no_job_loses_more_than_epsilon_by_the_beliefs(values: list[float], deviation: float, seed: int):
    prospects = [Prospect(f"m{index}", value, deviation) for index, value in enumerate(values)]
    taken = prospects[pick(prospects, random.Random(seed), explore=True)]
    assert taken.utility >= values[0] - EPSILON


@given(values=utilities, seed=st.integers(0, 2**32))
def test_the_best_is_taken_where_nothing_may_be_explored(values: list[float], seed: int):
    prospects = [Prospect(f"m{index}", value, 1.0) for index, value in enumerate(values)]
    assert pick(prospects, random.Random(seed), explore=False) == 0


def test_the_best_is_taken_where_nothing_is_left_to_learn():
    prospects = [Prospect("a", 0.9, 0.0), Prospect("b", 0.895, 0.0)]
    assert {pick(prospects, random.Random(seed), explore=True) for seed in range(50)} == {0}


def test_what_is_uncertain_is_tried_and_the_same_seed_tries_the_same():
    prospects = [Prospect("a", 0.9, 0.01), Prospect("b", 0.895, 0.01), Prospect("far", 0.8, 1.0)]
    taken = [pick(prospects, random.Random(seed), explore=True) for seed in range(200)]
    assert taken == [pick(prospects, random.Random(seed), explore=True) for seed in range(200)]
    assert 40 < taken.count(1) < 100
    assert taken.count(2) == 0


def test_a_job_that_pays_explores_only_where_its_caller_allows_it():
    assert may_explore(Environment.TEST, allowed=False)
    assert not may_explore(Environment.LIVE, allowed=False)
    assert not may_explore(Environment.ENTERPRISE, allowed=False)
    assert may_explore(Environment.LIVE, allowed=True)
