"""What runs say of the places that they used: to others on the same places much, to those elsewhere little."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence

import numpy as np
import pytest

from services.routing.exposure import Exposure
from services.routing.learning.beliefs import Beliefs, leverage
from services.routing.learning.evidence import Evidence
from services.routing.learning.learner import FIDELITY_PRIOR, Learner
from services.routing.learning.sights import MOST, Scatter, Sight, Sighting, Sights
from tests.unit.routing.learning.outcomes import START, forecast, noisy, outcome

SCATTER = Scatter(spread=0.03, drift=0.2, place=0.1, place_drift=0.4)
LATER = START + dt.timedelta(days=1)
HERE = Exposure((((0, 1), 0.5), ((0,), 0.2), ((1, 1), 0.3)), 1.0)
THERE = Exposure((((7, 8), 0.6), ((8, 8), 0.4)), 1.0)
STALE = 0.06
"""The deviation of what a stale calibration tells."""


def taught(effects: Sequence[tuple[Exposure, float]], *, calibration: str = "c@1") -> Learner:
    source, learner = random.Random(1), Learner()
    for number, (exposure, effect) in enumerate(effects):
        learner.learn(
            outcome(
                "m0",
                0.8,
                noisy(source, 0.8, effect, 0.005),
                number=number,
                calibration=calibration,
                told=forecast(0.8, deviation=STALE),
                exposure=exposure,
            )
        )
    return learner


def believed(learner: Learner) -> Beliefs:
    return learner.beliefs(LATER, "test")


def told(beliefs: Beliefs, exposure: Exposure | None) -> tuple[float, float, float]:
    return beliefs.fidelity_of("m0", forecast(0.8, deviation=STALE), exposure)


def test_what_is_bad_in_one_place_is_believed_of_runs_there_and_less_of_those_elsewhere():
    beliefs = believed(taught([(HERE, 0.5), (THERE, -0.1)] * 3))
    assert told(beliefs, HERE)[0] == pytest.approx(0.8**1.5, abs=0.02)
    assert told(beliefs, THERE)[0] > 0.8


def test_an_interval_narrows_where_runs_were_seen_and_not_elsewhere():
    beliefs = believed(taught([(HERE, 0.1)] * 6))
    widths = [high - low for _, low, high in (told(beliefs, HERE), told(beliefs, THERE), told(Beliefs(), HERE))]
    assert widths[0] < 0.6 * widths[2]
    assert widths[0] < 0.8 * widths[1]


def test_the_process_says_what_a_filter_over_all_places_says():
    source, places = random.Random(2), [(0,), (1,), (0, 1), (1, 1), (2, 2)]
    seen, rows, residuals, noises = [], [], [], []
    for _ in range(9):
        drawn = {place: source.random() for place in source.sample(places, 3)}
        exposure = Exposure(tuple((place, value / sum(drawn.values())) for place, value in drawn.items()), 1.0)
        fidelity = source.uniform(0.5, 0.9)
        one = Sighting(leverage(fidelity), source.gauss(0, 0.05), 0.06, exposure, START)
        sight = Sight(exposure, Evidence()).with_one(one, SCATTER)
        seen.append(sight)
        shares = dict(exposure.places)
        rows.append([1.0, *(shares.get(place, 0.0) for place in places)])
        residuals.append(sight.evidence.effect)
        noises.append(1 / sight.evidence.precision)
    prior = np.diag([SCATTER.of_machine(1.0), *[SCATTER.of_place(1.0)] * len(places)])
    mean = np.array([0.1, *[0.0] * len(places)])
    design, precision = np.array(rows), np.diag(1 / np.array(noises))
    covariance = np.linalg.inv(np.linalg.inv(prior) + design.T @ precision @ design)
    posterior = mean + covariance @ design.T @ precision @ (np.array(residuals) - design @ mean)
    asked = np.array([1.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    found = Sights(SCATTER, 0.1, 0.0, Evidence(), tuple(seen)).effect(HERE)
    assert found == pytest.approx((asked @ posterior, asked @ covariance @ asked))


def test_with_fresh_calibrations_six_runs_on_a_place_hardly_move_a_prediction():
    fresh = Exposure(HERE.places)
    moved = told(believed(taught([(fresh, 0.05)] * 6)), fresh)[0]
    assert moved == pytest.approx(0.8, abs=0.01)


def test_the_next_calibration_forgets_places_and_a_part_of_the_machine():
    learner = taught([(HERE, 0.5)] * 6)
    learner.learn(outcome("m0", 0.8, 0.8, number=99, calibration="c@2", exposure=THERE))
    assert told(believed(learner), HERE)[0] > 0.8**1.25


def test_what_was_seen_before_a_drift_is_forgotten():
    learner = taught([(HERE, -0.1)] * 20 + [(HERE, 1.5)] * 14)
    assert believed(learner).drift_time("m0") is not None
    assert told(believed(learner), HERE)[0] == pytest.approx(0.8**2.5, abs=0.04)


def test_the_places_used_last_are_remembered_and_the_others_still_count_for_the_machine():
    elsewhere = [Exposure((((40 + number, 41 + number), 1.0),), 1.0) for number in range(MOST + 4)]
    learner = taught([(HERE, 0.4), *((each, 0.4) for each in elsewhere)])
    sights = believed(learner).sights["m0"]
    assert [each.exposure for each in sights.seen] == elsewhere[-MOST:]
    assert sights.rest.precision > 0
    assert told(believed(learner), HERE)[0] < 0.77


def test_a_circuit_that_runs_again_and_again_takes_one_place_of_what_is_remembered():
    beliefs = believed(taught([(HERE, 0.4), *[(THERE, 0.0)] * 30]))
    assert [each.exposure for each in beliefs.sights["m0"].seen] == [HERE, THERE]
    once = believed(taught([(HERE, 0.4), (THERE, 0.0)]))
    assert beliefs.effect_on("m0", THERE).deviation < 0.5 * once.effect_on("m0", THERE).deviation


def test_a_run_without_places_counts_for_the_machine():
    beliefs = believed(taught([(THERE, 0.0)]))
    learner = taught([(THERE, 0.0)])
    for number in range(10):
        learner.learn(outcome("m0", 0.8, 0.7, number=50 + number))
    assert told(believed(learner), HERE)[0] < told(beliefs, HERE)[0] - 0.01


def test_an_interval_counts_the_drift_that_is_expected():
    assert FIDELITY_PRIOR.spread**2 < SCATTER.of_machine(0.5) < SCATTER.of_machine(1.0)
    assert SCATTER.of_run(THERE) > SCATTER.of_run(Exposure(THERE.places, 0.0))
