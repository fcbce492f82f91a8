"""Where the tests of raw bits draw the line, and how often a good source meets it. Pure, and without numpy.

H is what a bit is claimed to be worth, in bits. A source that is worth exactly that meets a cutoff of the health tests
with probability 2^-30 at each bit (SP 800-90B, 4.3 asks for 2^-20 to 2^-40). A fair source is worth more, and meets
any of the lines much more rarely: `false_alarm` bounds that for a whole chunk.
"""

from __future__ import annotations

import functools
import itertools
import math

from services.entropy.statistics.streaks import STREAK_CONFIDENCE, Z_ALPHA, no_streak

ALPHA_BITS = 30
"""The false-positive probability of the health tests is 2^-30."""
WINDOW = 1024
"""Bits of the adaptive proportion test for binary sources (4.4.2)."""
MOST_FALSE_ALARM = 2.0**-20
"""For each chunk of a fair source: about once in 140 terabits."""
_PREDICTORS = 4


def repetition_cutoff(min_entropy: float) -> int:
    """1 + ⌈30 / H⌉ equal bits in a row (4.4.1)."""
    return 1 + math.ceil(ALPHA_BITS / min_entropy)


@functools.cache
def proportion_cutoff(min_entropy: float) -> int:
    """How often the first bit of a window may not occur in it (4.4.2): 1 + CRITBINOM(W, 2^-H, 1 - 2^-30)."""
    tail = itertools.accumulate(_binomial(WINDOW, 2.0**-min_entropy, k) for k in range(WINDOW, -1, -1))
    return 1 + WINDOW - next(number for number, more in enumerate(tail) if more > 2.0**-ALPHA_BITS)


def streak_cutoff(count: int, min_entropy: float) -> int:
    """Right guesses in a row of which a predictor's estimate (6.3.7, step 8) is below H."""
    share = 2.0**-min_entropy
    streak = 1
    while no_streak(share, streak, count) < math.log(STREAK_CONFIDENCE):
        streak += 1
    return streak - 1  # the estimate is made of one more than was seen


def repeat_cutoff(count: int, min_entropy: float) -> int:
    """The length of a repeated substring of which the estimate (6.3.6) is below H."""
    return math.ceil(math.log2(math.comb(count, 2)) / -math.log2(_seen(2.0**-min_entropy, count)))


def false_alarm(count: int, min_entropy: float) -> float:
    """An upper bound of how probable it is that a chunk of `count` fair bits is refused, by Boole's inequality.

    Before each guess a fair bit is as open as ever, whatever the predictor: a streak of s begins at a place with
    probability 2^-(s + 1). The collision, Markov, compression and t-tuple estimates are left out: their lines are more
    than ten standard deviations away (docs/entropy.md).
    """
    run, streak = repetition_cutoff(min_entropy), streak_cutoff(count, min_entropy)
    repeat = repeat_cutoff(count, min_entropy)
    lead = math.ceil(count * _seen(2.0**-min_entropy, count))
    return sum(
        (
            count * 2.0 ** (1 - run),
            count / WINDOW * binomial_tail(WINDOW - 1, 0.5, proportion_cutoff(min_entropy) - 1),
            _PREDICTORS * (count * 2.0 ** -(streak + 1) + 2.0**-streak),
            math.comb(count, 2) * 2.0**-repeat,
            2 * _chernoff(count, lead / count, 0.5),
        )
    )


def missed_bias(count: int, min_entropy: float, share: float) -> float:
    """An upper bound of how probable it is that the most common value (6.3.1) passes, where a bit is 1 with `share`.

    1 where the source is worth what is claimed.
    """
    seen = _seen(2.0**-min_entropy, count)
    return _chernoff(count, seen, share) if seen < share else 1.0


def binomial_tail(count: int, share: float, least: int) -> float:
    """P(at least `least` of `count`), where each is with probability `share`."""
    return math.fsum(_binomial(count, share, k) for k in range(least, count + 1))


def _binomial(count: int, share: float, k: int) -> float:
    """P(exactly `k` of `count`)."""
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return math.exp(ways + k * math.log(share) + (count - k) * math.log1p(-share))


def _seen(share: float, count: int) -> float:
    """The share that has to be seen for the upper end of its confidence interval to be `share`."""
    return share - Z_ALPHA * math.sqrt(share * (1 - share) / (count - 1))


def _chernoff(count: int, seen: float, share: float) -> float:
    """A bound of P(seeing `seen` or what is further away): exp(-n·KL(seen, share))."""
    if not 0 < seen < 1:
        return 0.0
    away = seen * math.log(seen / share) + (1 - seen) * math.log((1 - seen) / (1 - share))
    return math.exp(-count * away)
