"""The whole of SP 800-22 rev. 1a on one sequence, and one verdict over all its p-values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.entropy.statistics import complexity, excursions, frequency, patterns, spectral, templates
from services.entropy.statistics.outcome import Bits, Outcome

ALPHA = 0.01
_THREADS = 2
_TESTS = (
    frequency.frequency,
    frequency.block_frequency,
    frequency.cumulative_sums,
    frequency.runs,
    frequency.longest_run,
    spectral.rank,
    spectral.spectral,
    templates.non_overlapping,
    templates.overlapping,
    patterns.universal,
    patterns.approximate_entropy,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the p-values say together."""

    passed: bool
    """Whether nothing is rejected, and anything was tested."""
    p_value_count: int
    smallest: float
    """The smallest p-value; 1 where there is none."""
    rejected: tuple[str, ...]
    """The tests of the p-values that are too small."""


def run_suite(bits: Bits) -> list[Outcome]:
    """All fifteen tests, in the order of NIST's program; 188 p-values where all apply, at 10^6 bits and more.

    Two threads: most of the time goes to numpy, scipy and compiled code, which let go of the interpreter.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        dear = [threads.submit(test, bits) for test in (spectral.spectral, complexity.linear_complexity)]
        others = {test: threads.submit(test, bits) for test in _TESTS if test is not spectral.spectral}
        walk, runs = threads.submit(excursions.excursions, bits), threads.submit(patterns.serial, bits)
        first = [dear[0] if test is spectral.spectral else others[test] for test in _TESTS]
        return [*(each.result() for each in first), *walk.result(), runs.result(), dear[1].result()]


def judge(outcomes: Iterable[Outcome], alpha: float = ALPHA) -> Verdict:
    """Holm's step-down test over the family of all p-values: a perfect source is rejected with probability alpha.

    S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70. "Any p below 0.01" would reject it nearly always.
    """
    values = sorted((value, outcome.test) for outcome in outcomes for value in outcome.p_values)
    rejected = _rejected(values, alpha)
    return Verdict(bool(values) and not rejected, len(values), values[0][0] if values else 1.0, rejected)


def _rejected(values: Sequence[tuple[float, str]], alpha: float) -> tuple[str, ...]:
    found = []
    for rank, (value, test) in enumerate(values):
        if not value < alpha / (len(values) - rank):
            break
        found.append(test)
    return tuple(sorted(set(found)))
