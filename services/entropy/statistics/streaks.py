"""How long a streak of successes is to be expected (SP 800-90B, section 6.3.7, step 8 and annex G.1). Without numpy."""

from __future__ import annotations

import math

Z_ALPHA = 2.5758293035489008
"""The 99.5 % quantile of the normal distribution."""
STREAK_CONFIDENCE = 0.99
_MOST_ROUNDS = 65


def no_streak(share: float, streak: int, count: int) -> float:
    """Ln P(no `streak` successes in a row in `count` trials), by Feller's root x."""
    miss = 1 - share
    excess = last = 0.0  # x - 1, which is often below what a double of x could tell
    for _ in range(_MOST_ROUNDS):
        last, excess = excess, miss * math.exp(streak * math.log(share) + (streak + 1) * math.log1p(excess))
        if excess - last <= 1e-17 * excess:
            break
    left = miss - share * excess  # 1 - p·x
    if left <= 0:
        return -math.inf
    return math.log(left) - math.log((1 - streak * excess) * miss) - (count + 1) * math.log1p(excess)
