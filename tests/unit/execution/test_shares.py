"""Shares of the engines' time: who is next, whoever came first and however long each takes."""

from __future__ import annotations

from collections import Counter

import pytest

from services.execution.shares import Shares


def serve(shares: Shares[str], lengths: dict[str, float], turns: int, weights: dict[str, float]) -> Counter[str]:
    """Seconds that each got, when all wait all the time."""
    got: Counter[str] = Counter()
    for _ in range(turns):
        ahead = shares.ahead
        key = min(lengths, key=lambda key: ahead.get(key, 0.0))
        shares.begin(key, lengths[key], weight=weights.get(key, 1.0))
        got[key] += lengths[key]  # type: ignore[assignment] # seconds
    return got


def test_teams_with_short_and_long_jobs_get_the_same_time():
    got = serve(Shares(), {"long": 5.0, "short": 0.1, "shorter": 0.01}, 2_000, {})
    assert got["long"] == pytest.approx(got["short"], abs=5.0)
    assert got["short"] == pytest.approx(got["shorter"], abs=5.0)


def test_a_weight_of_four_gets_four_times_the_time():
    got = serve(Shares(), {"priority": 1.0, "standard": 1.0}, 1_000, {"priority": 4.0})
    assert got == {"priority": 800, "standard": 200}


def test_one_who_was_alone_owes_only_its_last_job():
    shares: Shares[str] = Shares()
    for _ in range(1_000):
        shares.begin("alone", 1.0)
    assert shares.ahead == {"alone": 1.0}
    assert serve(shares, {"alone": 1.0, "new": 1.0}, 101, {}) == {"new": 51, "alone": 50}


def test_one_who_was_idle_has_saved_nothing_up():
    shares: Shares[str] = Shares()
    shares.begin("idle", 1.0)
    for _ in range(100):
        shares.begin("busy", 1.0)
    assert serve(shares, {"idle": 1.0, "busy": 1.0}, 100, {}) == {"idle": 51, "busy": 49}


def test_a_turn_counts_what_it_took():
    shares: Shares[str] = Shares()
    shares.begin("slow", 1.0)
    shares.begin("quick", 1.0)
    shares.correct("slow", 9.0)
    shares.correct("quick", -0.5)
    assert shares.ahead == {"slow": 10.0, "quick": 0.5}
    shares.correct("quick", -0.5)
    assert shares.ahead == {"slow": 10.0}


def test_those_who_are_level_are_forgotten():
    shares: Shares[int] = Shares()
    for team in range(10_000):
        shares.begin(team, 0.0)
    assert shares.ahead == {}
