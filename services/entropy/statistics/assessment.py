"""The min-entropy of a sequence of bits by SP 800-90B: the least that the ten non-IID estimators say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.entropy.statistics import counting, predictors
from services.entropy.statistics.outcome import Bits
from services.entropy.statistics.substrings import substrings

LEAST_BITS = 1_000_000
"""What section 3.1.1 asks for."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Min-entropies in bits per bit."""

    sample_count: int
    estimates: Mapping[str, float]

    @property
    def min_entropy(self) -> float:
        """The least of the estimates."""
        return min(self.estimates.values())


def assess(bits: Bits) -> Assessment:
    """Every estimate of section 6.3, in its order; at least 10,000 bits."""
    recurring = substrings(bits)
    return Assessment(
        len(bits),
        {
            "most_common_value": counting.most_common_value(bits),
            "collision": counting.collision(bits),
            "markov": counting.markov(bits),
            "compression": counting.compression(bits),
            "t_tuple": recurring.t_tuple,
            "longest_repeated_substring": recurring.longest_repeated,
            "multi_most_common_in_window": predictors.most_common_in_window(bits),
            "lag": predictors.lag(bits),
            "multi_markov_with_counting": predictors.markov_counts(bits),
            "lz78y": predictors.lz78y(bits),
        },
    )
