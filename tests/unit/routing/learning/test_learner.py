"""The laws of learning: a strong prior, a drift that is noticed, and nothing learned from what tells nothing."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.routing.learning.beliefs import Beliefs
from services.routing.learning.learner import Learner
from tests.unit.routing.learning.outcomes import START, corrected, estimate, noisy, outcome

LATER = START + dt.timedelta(days=1)
MACHINES = [f"m{number}" for number in range(7)]


def believed(learner: Learner) -> Beliefs:
    return learner.beliefs(LATER, "test")


def captured(source: random.Random, beliefs: Beliefs, truth: dict[str, float], told: dict[str, float]) -> float:
    """(chosen - random) / (oracle - random), over circuits whose predictions are a little off for each machine."""
    gained = possible = 0.0
    for _ in range(200):
        ideal = source.uniform(0.5, 0.95)
        predicted = {name: ideal ** (1 + told[name]) + source.gauss(0, 0.002) for name in MACHINES}
        real = {name: ideal ** (1 + truth[name]) for name in MACHINES}
        chosen = max(MACHINES, key=lambda name: corrected(beliefs, name, estimate(predicted[name])).fidelity)
        middle = sum(real.values()) / len(real)
        gained, possible = gained + real[chosen] - middle, possible + max(real.values()) - middle
    return gained / possible


def taught(source: random.Random, truth: dict[str, float], told: dict[str, float], count: int) -> Learner:
    learner = Learner()
    for number in range(count * len(MACHINES)):
        name = MACHINES[number % len(MACHINES)]
        ideal = source.uniform(0.5, 0.95)
        predicted = ideal ** (1 + told[name])
        learner.learn(outcome(name, predicted, noisy(source, ideal, truth[name]), number=number))
    return learner


@pytest.mark.parametrize("seed", range(4))
def test_ten_observations_a_machine_do_not_hurt_a_ranking_that_was_right(seed: int):
    source = random.Random(seed)
    truth = {name: source.gauss(0, 0.1) for name in MACHINES}
    before = captured(random.Random(99), Beliefs(), truth, truth)
    after = captured(random.Random(99), believed(taught(source, truth, truth, 10)), truth, truth)
    assert before > 0.95
    assert after > before - 0.05


def test_outcomes_mend_a_ranking_by_stale_calibrations():
    before, after = [], []
    for seed in range(6):
        source = random.Random(seed)
        truth = {name: source.gauss(0, 0.25) for name in MACHINES}
        told = {name: source.gauss(0, 0.25) for name in MACHINES}
        before.append(captured(random.Random(99), Beliefs(), truth, told))
        after.append(captured(random.Random(99), believed(taught(source, truth, told, 25)), truth, told))
    assert sum(before) / len(before) < 0.6
    assert sum(after) / len(after) > 0.75


def test_a_bias_that_all_machines_share_is_corrected_for_one_that_was_never_seen():
    source = random.Random(1)
    learner = taught(source, dict.fromkeys(MACHINES, 0.3), dict.fromkeys(MACHINES, 0.0), 20)
    assert corrected(believed(learner), "new", estimate(0.8)).fidelity == pytest.approx(0.8**1.3, abs=0.01)


def test_a_drift_is_found_soon_after_a_jump_and_widens_the_interval_until_the_next_calibration():
    source = random.Random(2)
    learner = Learner()
    for number in range(60):
        learner.learn(outcome("m0", 0.8, noisy(source, 0.8, 0.0), number=number))
    calm = believed(learner)
    assert calm.drift_time("m0") is None
    steady = corrected(calm, "m0", estimate(0.8))
    needed = 0
    while believed(learner).drift_time("m0") is None:
        needed += 1
        learner.learn(outcome("m0", 0.8, noisy(source, 0.8, 0.25), number=60 + needed))
        assert needed <= 14, "a jump by two standard deviations"
    drifted = corrected(believed(learner), "m0", estimate(0.8))
    assert drifted.fidelity < steady.fidelity - 0.02, "what was learned before the jump no longer holds it"
    assert drifted.fidelity_high - drifted.fidelity_low > 1.1 * (steady.fidelity_high - steady.fidelity_low)
    learner.learn(outcome("m0", 0.8, 0.8, number=90, calibration="c@2"))
    assert believed(learner).drift_time("m0") is None


def test_no_drift_is_found_where_there_is_none():
    found = 0
    for seed in range(10):
        source, learner = random.Random(seed), Learner()
        for number in range(300):
            learner.learn(outcome("m0", 0.8, noisy(source, 0.8, 0.0), number=number))
            found += believed(learner).drift_time("m0") is not None
    assert found == 0


def test_a_slow_machine_is_predicted_to_be_slow():
    source, learner = random.Random(3), Learner()
    for number in range(40):
        seconds = 3.0 * source.lognormvariate(0, 0.3)
        learner.learn(outcome(MACHINES[number % 7], 0.8, None, seconds=seconds, number=number))
    slow = corrected(believed(learner), "m0", estimate(0.8))
    assert slow.duration_p50.total_seconds() == pytest.approx(3.0, rel=0.25)
    assert slow.duration_p90 > slow.duration_p50
    assert slow.fidelity == pytest.approx(0.8)


def test_an_exact_simulation_stays_exact():
    learner = taught(random.Random(4), dict.fromkeys(MACHINES, 0.3), dict.fromkeys(MACHINES, 0.0), 5)
    exact = corrected(believed(learner), "m0", replace(estimate(1.0), fidelity_low=1.0, fidelity_high=1.0))
    assert (exact.fidelity_low, exact.fidelity, exact.fidelity_high) == (1.0, 1.0, 1.0)


def test_nothing_is_learned_of_a_machine_from_a_failed_job():
    learner = Learner()
    learner.learn(outcome("m0", 0.8, 0.2, error="server_error"))
    assert learner.count == 1
    assert corrected(believed(learner), "m0", estimate(0.8)).fidelity == pytest.approx(0.8)


def test_the_same_outcomes_in_the_same_order_give_the_same_beliefs():
    def learned() -> Beliefs:
        return believed(taught(random.Random(5), dict.fromkeys(MACHINES, 0.1), dict.fromkeys(MACHINES, 0.0), 9))

    assert learned() == learned()


@given(
    fidelity=st.floats(0, 1),
    half=st.floats(0, 1),
    measured=st.lists(st.floats(0, 1), max_size=20),
    seconds=st.floats(0, 1e6),
)
def test_an_estimate_stays_in_bounds_whatever_was_measured(
    fidelity: float, half: float, measured: list[float], seconds: float
):
    learner = Learner()
    for number, value in enumerate(measured):
        learner.learn(outcome("m0", fidelity, value, number=number, seconds=seconds))
    told = estimate(fidelity, 0.001)
    told = replace(told, fidelity_low=max(0.0, fidelity - half), fidelity_high=min(1.0, fidelity + half))
    found = corrected(believed(learner), "m0", told)
    assert 0 <= found.fidelity_low <= found.fidelity <= found.fidelity_high <= 1
    assert dt.timedelta() <= found.duration_p50 <= found.duration_p90
