from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.entropy.config import EntropyConfig
from services.entropy.cutoff import (
    MOST_FALSE_ALARM,
    binomial_tail,
    false_alarm,
    missed_bias,
    proportion_cutoff,
    repeat_cutoff,
    repetition_cutoff,
    streak_cutoff,
)
from services.entropy.health import check_health
from services.entropy.statistics.counting import most_common_value
from services.entropy.statistics.predictors import Record, prediction_entropy
from tests.unit.entropy.sequences import biased, fair

SETTINGS: dict[str, Any] = {"listen": "127.0.0.1:0", "identity_folder": Path(), "key_encryption_key_file": Path("k")}
SHIPPED = EntropyConfig(**SETTINGS)
CHUNK = SHIPPED.chunk_bits
CLAIMS = [SHIPPED.simulated_min_entropy, SHIPPED.live_min_entropy]


@pytest.mark.parametrize(("claimed", "repetition", "proportion"), [(1.0, 31, 609), (0.8, 39, 683), (0.5, 61, 810)])
def test_the_cutoffs_are_those_of_the_standard(claimed: float, repetition: int, proportion: int) -> None:
    assert repetition_cutoff(claimed) == repetition
    assert proportion_cutoff(claimed) == proportion
    assert (
        binomial_tail(1024, 2.0**-claimed, proportion) <= 2.0**-30 < binomial_tail(1024, 2.0**-claimed, proportion - 1)
    )


@pytest.mark.parametrize("claimed", CLAIMS)
def test_a_chunk_of_a_fair_source_is_refused_once_in_a_million_at_most(claimed: float) -> None:
    assert 2.0**-40 < false_alarm(CHUNK, claimed) < MOST_FALSE_ALARM


@pytest.mark.parametrize("claimed", [0.5, 0.55, 0.7])
def test_the_streak_cutoff_is_where_a_predictors_estimate_falls_below_the_claim(claimed: float) -> None:
    streak = streak_cutoff(CHUNK, claimed)
    below, above = (prediction_entropy(Record(CHUNK, CHUNK // 2, longest)) for longest in (streak, streak - 1))
    assert below < claimed <= above


def test_the_bound_is_kept_by_fair_bits_and_is_not_far_from_what_they_do() -> None:
    # Of guesses that are right by chance the longest streak is that of a fair coin.
    count, tried, streak = 4096, 2000, 15
    runs = fair(count * tried).reshape(tried, count)
    for further in (1, 2, 4, 7):  # in a row: 2, 4, 8, 15
        runs = runs[:, :-further] & runs[:, further:]
    seen = float(runs.any(axis=1).mean())
    bound = count * 2.0 ** -(streak + 1) + 2.0**-streak
    deviation = math.sqrt(bound / tried)
    assert bound - bound**2 - 4 * deviation < seen < bound + 4 * deviation


@pytest.mark.parametrize("claimed", CLAIMS)
def test_a_bias_beyond_the_claim_is_seen_within_one_chunk(claimed: float) -> None:
    share = 2.0**-claimed + 0.0025  # of the commoner bit
    assert missed_bias(CHUNK, claimed, share) < 2.0**-20
    assert most_common_value(biased(CHUNK, share)) < claimed
    assert missed_bias(CHUNK, claimed, 2.0**-claimed - 0.0025) == 1.0


@pytest.mark.parametrize("claimed", CLAIMS)
def test_a_stuck_source_is_seen_within_as_many_bits_as_the_cutoff_has(claimed: float) -> None:
    bits = fair(2048)
    bits[1000 : 1000 + repetition_cutoff(claimed)] = 1
    assert "repetition count" in check_health(bits, claimed).failure


@pytest.mark.parametrize("claimed", CLAIMS)
def test_what_repeats_itself_for_longer_than_chance_is_beyond_the_repeat_cutoff(claimed: float) -> None:
    length = repeat_cutoff(CHUNK, claimed)
    assert math.comb(CHUNK, 2) * 2.0**-length < 2.0**-30
    assert length * claimed >= math.log2(math.comb(CHUNK, 2)) - 1


@pytest.mark.parametrize("setting", ["live_min_entropy", "simulated_min_entropy"])
def test_a_claim_that_fair_bits_would_fail_is_refused_at_the_start(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} = 0.9: of a fair source one chunk in 26 would be refused"):
        EntropyConfig(**SETTINGS | {setting: 0.9})
    with pytest.raises(msgspec.ValidationError, match=setting):
        msgspec.convert(SETTINGS | {setting: 0.7}, EntropyConfig)
