"""What shots add to a prediction, beside counts that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from services.routing.prediction.sampling import of_counts

SHOTS = 1024


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("outcomes", [2, 32])
def test_nine_of_ten_samples_lie_within_the_bounds_of_a_fidelity_that_is_known(outcomes: int, noise: float):
    random = np.random.default_rng(1)
    ideal = np.zeros(64)
    ideal[:outcomes] = random.uniform(0.5, 1.5, outcomes)
    ideal /= ideal.sum()
    noisy = (1 - noise) * ideal + noise / 64
    true = float(np.sqrt(ideal * noisy).sum() ** 2)
    measured = np.sqrt(ideal * random.multinomial(SHOTS, noisy, 4000) / SHOTS).sum(1) ** 2
    value, low, high = of_counts(true, true, true, shots=SHOTS, outcomes=outcomes)
    assert value == pytest.approx(measured.mean(), abs=0.0015)
    assert 0.86 < np.mean((low <= measured) & (measured <= high)) < 0.96


def test_shots_without_end_leave_a_prediction_as_it_is():
    assert of_counts(0.9, 0.8, 0.95, shots=10**12, outcomes=32) == pytest.approx((0.9, 0.8, 0.95), abs=1e-5)


def test_fewer_shots_widen_the_bounds_on_both_sides_but_not_beyond_0_and_1():
    _, low, high = of_counts(0.9, 0.88, 0.91, shots=100, outcomes=0)
    assert low < 0.88
    assert 0.91 < high < 1
    assert of_counts(0.99, 0.98, 1.0, shots=1, outcomes=0)[2] == 1.0
    assert of_counts(0.01, 0.0, 0.02, shots=1, outcomes=0)[1] == 0.0


def test_counts_that_are_compared_with_nothing_cost_nothing():
    assert of_counts(0.9, 0.8, 0.95, shots=319, outcomes=32)[0] == 0.9
    assert of_counts(0.9, 0.8, 0.95, shots=320, outcomes=32)[0] < 0.9
