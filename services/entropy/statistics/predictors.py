"""Min-entropy from how well a sequence can be predicted (SP 800-90B, sections 6.3.7 to 6.3.10).

Each predictor counts how often it was right, and how often in a row at most. Several compete within one: the guess is
that of the one which was right most often so far, the last to get there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from scipy import optimize

from services.entropy.statistics.counting import upper_bound
from services.entropy.statistics.outcome import Bits, Integers
from services.entropy.statistics.streaks import STREAK_CONFIDENCE, no_streak

_WINDOWS = (63, 255, 1023, 4095)
_LAGS = 128
_DEPTH = 16
_MMC_ENTRIES = 100_000
_LZ_ENTRIES = 65_536


class Record(NamedTuple):
    """How a predictor did."""

    guesses: int
    right: int
    longest: int
    """Right guesses in a row."""


def most_common_in_window(bits: Bits) -> float:
    """The commoner bit of the last 63, 255, 1,023 or 4,095 (6.3.7)."""
    return prediction_entropy(Record(*race_windows(bits, np.array(_WINDOWS))))


def lag(bits: Bits) -> float:
    """The bit of 1 to 128 places ago (6.3.8)."""
    return prediction_entropy(Record(*race_lags(bits, _LAGS)))


def markov_counts(bits: Bits) -> float:
    """Markov models with counting of order 1 to 16 (6.3.9)."""
    return prediction_entropy(Record(*race_contexts(bits, _DEPTH, _MMC_ENTRIES)))


def lz78y(bits: Bits) -> float:
    """The commonest successor of the last 16, 15, … 1 bits in a dictionary (6.3.10)."""
    return prediction_entropy(Record(*follow_dictionary(bits, _DEPTH, _LZ_ENTRIES)))


def prediction_entropy(record: Record) -> float:
    """The min-entropy behind a predictor's record: what it shows as a whole, and what its longest streak shows."""
    share = record.right / record.guesses
    whole = upper_bound(share, record.guesses) if share else 1 - 0.01 ** (1 / record.guesses)
    best = max(0.5, whole)
    streak = record.longest + 1
    if best < 1 and no_streak(best, streak, record.guesses) > math.log(STREAK_CONFIDENCE):
        best = optimize.brentq(
            lambda share: no_streak(share, streak, record.guesses) - math.log(STREAK_CONFIDENCE),
            best,
            1 - 1e-15,
            xtol=1e-15,
            rtol=1e-14,
        )
    return -math.log2(best) + 0.0


@numba.njit(cache=True, nogil=True)
def race_windows(bits: Bits, widths: Integers) -> tuple[int, int, int]:  # pragma: no cover
    """The record of windows of odd widths, narrowest first; a window guesses once it is full."""
    count, players = len(bits), len(widths)
    ones, scores = np.zeros(players, np.int64), np.zeros(players, np.int64)
    right = streak = longest = winner = 0
    for place in range(count):
        bit = bits[place]
        guess = 2 * ones[winner] > widths[winner]
        if place >= widths[0]:
            if guess == (bit == 1):
                right += 1
                streak += 1
                longest = max(longest, streak)
            else:
                streak = 0
        for player in range(players):
            if place >= widths[player]:
                if (2 * ones[player] > widths[player]) == (bit == 1):
                    scores[player] += 1
                    if scores[player] >= scores[winner]:
                        winner = player
                ones[player] -= bits[place - widths[player]]
            ones[player] += bit
    return count - widths[0], right, longest


@numba.njit(cache=True, nogil=True)
def race_lags(bits: Bits, lags: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """The record of looking back 1, 2, … `lags` places."""
    count = len(bits)
    scores = np.zeros(lags, np.int64)
    right = streak = longest = winner = 0
    for place in range(1, count):
        bit = bits[place]
        if place > winner and bits[place - 1 - winner] == bit:
            right += 1
            streak += 1
            longest = max(longest, streak)
        else:
            streak = 0
        best = scores[winner]
        for back in range(min(lags, place)):
            if bits[place - 1 - back] == bit:
                score = scores[back] + 1
                scores[back] = score
                if score >= best:
                    best = score
                    winner = back
    return count - 1, right, longest


@numba.njit(cache=True, nogil=True)
def race_contexts(bits: Bits, depth: int, entries: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """The record of counting what followed the last 1, 2, … `depth` bits; each order keeps at most `entries` pairs.

    The successors of the context c of order d lie at [2^d + c].
    """
    count = len(bits)
    followed = np.zeros((2 << depth, 2), np.int32)
    kept, scores = np.zeros(depth + 1, np.int64), np.zeros(depth + 1, np.int64)
    right = streak = longest = 0
    winner = 1
    for place in range(1, count):
        bit = bits[place]
        leader = winner
        context = 0
        known = True
        for order in range(1, min(depth, place) + 1):
            context |= bits[place - order] << (order - 1)
            row = (1 << order) + context
            zeros, ones = followed[row, 0], followed[row, 1]
            known = known and zeros + ones > 0
            if known and place > 1:
                if (ones >= zeros) == (bit == 1):
                    scores[order] += 1
                    if scores[order] >= scores[winner]:
                        winner = order
                    if order == leader:
                        right += 1
                        streak += 1
                        longest = max(longest, streak)
                elif order == leader:
                    streak = 0
            if followed[row, bit] or kept[order] < entries:
                kept[order] += followed[row, bit] == 0
                followed[row, bit] += 1
    return count - 2, right, longest


@numba.njit(cache=True, nogil=True)
def follow_dictionary(bits: Bits, depth: int, entries: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """The record of a dictionary of at most `entries` contexts of `depth` bits and fewer, laid out as above."""
    count = len(bits)
    followed = np.zeros((2 << depth, 2), np.int32)
    right = streak = longest = kept = 0
    past = 0
    for place in range(depth):
        past = past << 1 | bits[place]
    for place in range(depth, count):
        bit = bits[place]
        most, guess = 0, 2
        for order in range(depth, 0, -1):
            row = (1 << order) + (past & ((1 << order) - 1))
            zeros, ones = followed[row, 0], followed[row, 1]
            seen = max(zeros, ones)
            if seen > most:
                most, guess = seen, int(ones >= zeros)
            if seen:
                followed[row, bit] += 1
            elif kept < entries:
                followed[row, bit] = 1
                kept += 1
        if place > depth:
            if guess == bit:
                right += 1
                streak += 1
                longest = max(longest, streak)
            else:
                streak = 0
        past = (past << 1 | bit) & 0xFFFF
    return count - depth - 1, right, longest
