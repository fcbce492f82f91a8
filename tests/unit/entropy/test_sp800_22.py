"""SP 800-22 against published p-values."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from services.entropy.statistics import complexity, excursions, frequency, patterns, spectral, suite, templates
from services.entropy.statistics.outcome import Bits, Outcome
from tests.unit.entropy.sequences import GOLDEN, digits, fair

PUBLISHED = json.loads((GOLDEN / "sp800_22_p_values.json").read_text())["data"]
APPENDIX = json.loads((GOLDEN / "sp800_22_appendix_b.json").read_text())
EXAMPLES = json.loads((GOLDEN / "sp800_22_examples.json").read_text())["examples"]


@pytest.fixture(scope="module", params=["pi", "e"])
def tested(request: pytest.FixtureRequest) -> tuple[str, list[Outcome]]:
    return request.param, suite.run_suite(digits(request.param))


def test_the_sequences_are_the_published_ones():
    for name, digest in APPENDIX["sha256_packed_msb_first"].items():
        assert hashlib.sha256((GOLDEN / f"{name}.bin").read_bytes()).hexdigest() == digest


def test_every_p_value_is_that_of_nists_program(tested: tuple[str, list[Outcome]]):
    name, outcomes = tested
    assert [outcome.test for outcome in outcomes] == list(PUBLISHED[name])
    assert sum(len(outcome.p_values) for outcome in outcomes) == 188
    for outcome in outcomes:
        assert outcome.p_values == pytest.approx(PUBLISHED[name][outcome.test], abs=1e-6), outcome.test


def test_the_p_values_are_those_of_appendix_b(tested: tuple[str, list[Outcome]]):
    name, outcomes = tested
    found = {outcome.test: outcome.p_values for outcome in outcomes}
    found["CusumForward"], found["CusumReverse"] = ((value,) for value in found.pop("CumulativeSums"))
    picked = {"RandomExcursions": excursions.STATES.index(1), "RandomExcursionsVariant": 8}
    for test, p_value in APPENDIX["appendix_b"][name].items():
        assert found[test][picked.get(test, 0)] == pytest.approx(p_value, abs=1.5e-6), test


def _bits(text: str) -> Bits:
    if text.startswith("first"):
        return digits("e")[: int(text.split()[1])]
    return np.array([int(bit) for bit in text], np.uint8)


def _template_p(bits: Bits, example: dict[str, Any]) -> object:
    template = np.array([int(example["template"], 2)])
    return templates.non_overlapping_p(bits, template, example["m"], example["N"])


EXACT = (1 / 96, *complexity.PROBABILITIES[1:-1], 1 / 48)
COMPUTED: dict[str, Callable[[Bits, dict[str, Any]], object]] = {
    "Frequency": lambda bits, _: frequency.frequency_p(bits),
    "BlockFrequency": lambda bits, example: frequency.block_frequency_p(bits, example["M"]),
    "Runs": lambda bits, _: frequency.runs_p(bits),
    "LongestRun": lambda bits, _: frequency.longest_run(bits).p_values,
    "Rank": lambda bits, _: spectral.rank(bits).p_values,
    "FFT": lambda bits, _: spectral.spectral_p(bits),
    "NonOverlappingTemplate": _template_p,
    "LinearComplexity": lambda bits, example: complexity.linear_complexity_p(bits, example["M"], EXACT),
    "Serial": lambda bits, example: patterns.serial_p(patterns.circular_counts(bits, example["m"]), example["m"]),
    "ApproximateEntropy": lambda bits, example: patterns.approximate_entropy_p(
        patterns.circular_counts(bits, example["m"] + 1), example["m"]
    ),
    "CusumForward": lambda bits, _: frequency.cumulative_sums_p(bits)[0],
    "CumulativeSums": lambda bits, _: frequency.cumulative_sums_p(bits),
    "RandomExcursions": lambda bits, _: excursions.excursions(bits)[0].p_values,
    "RandomExcursionsVariant": lambda bits, _: excursions.excursions(bits)[1].p_values,
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['sec']} {example['test']}")
def test_the_worked_examples_come_out(example: dict[str, Any]):
    found = COMPUTED[example["test"]](_bits(example["bits"]), example)
    assert np.atleast_1d(found) == pytest.approx(example["p"], abs=1e-6)


def test_a_short_sequence_says_which_tests_it_is_too_short_for():
    outcomes = {outcome.test: outcome for outcome in suite.run_suite(fair(50_000))}
    assert outcomes["Rank"].applicable
    assert not outcomes["Universal"].applicable
    assert outcomes["Universal"].reason == "needs at least 387,840 bits"
    assert outcomes["RandomExcursions"].p_values == ()
    assert suite.judge(outcomes.values()).p_value_count == 1 + 1 + 2 + 1 + 1 + 1 + 1 + 148


def test_nothing_tested_is_not_passed():
    verdict = suite.judge(suite.run_suite(fair(50)))
    assert not verdict.passed
    assert verdict.p_value_count == 0


def test_one_small_p_value_among_many_rejects_nothing():
    family = [Outcome("A", tuple(np.linspace(0.02, 1, 187))), Outcome("B", (0.001,))]
    assert suite.judge(family).passed
    assert suite.judge([*family, Outcome("C", (1e-6,))]).rejected == ("C",)


def test_faults_are_found():
    alternating = np.tile(np.array([0, 1], np.uint8), 50_000)
    repeated = np.tile(fair(1000), 100)
    for bits in (np.zeros(100_000, np.uint8), alternating, repeated):
        assert not suite.judge(suite.run_suite(bits)).passed
