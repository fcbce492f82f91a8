"""Min-entropy from what recurs: t-tuple and longest repeated substring (SP 800-90B, sections 6.3.5 and 6.3.6).

Both come from the suffix array: suffixes in order, and how long a prefix each shares with the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from services.entropy.statistics.counting import upper_bound
from services.entropy.statistics.outcome import Bits, Integers

OFTEN = 35
"""Tuples that occur as often are counted; those that do not, but recur, are the other estimate's."""
_KEY_BITS = 57
_LENGTH_BITS = 6
Places = npt.NDArray[np.int32]


class Substrings(NamedTuple):
    """Min-entropies in bits per bit."""

    t_tuple: float
    longest_repeated: float


def substrings(bits: Bits) -> Substrings:
    """Both estimates; the first is 1 where nothing occurs 35 times, the second 1 where nothing longer recurs."""
    count = len(bits)
    order = suffix_array(bits)
    most, pairs = recurrences(shared_prefixes(bits, order))
    lengths = np.arange(len(most), dtype=np.float64)
    longest = len(most) - 1
    rare = int(np.argmax(np.append(most[1:] < OFTEN, True))) + 1
    often, recurring = lengths[1:rare], lengths[rare:]
    left = count - often + 1
    by_tuple = (most[1:rare] / left) ** (1 / often)
    if rare > longest:
        return Substrings(_entropy(by_tuple, count), 1.0)
    chances = (count - recurring) * (count - recurring + 1) / 2
    return Substrings(_entropy(by_tuple, count), _entropy((pairs[rare:] / chances) ** (1 / recurring), count))


def _entropy(shares: npt.NDArray[np.float64], count: int) -> float:
    if not len(shares):
        return 1.0
    return -float(np.log2(upper_bound(float(shares.max()), count))) + 0.0


def suffix_array(bits: Bits) -> Integers:
    """Where the suffixes start, in lexical order; an end comes before any bit.

    Prefix doubling (Manber and Myers), begun with the first 57 bits at once: what a good source makes is settled then.
    """
    count = len(bits)
    keys = _keys(bits)
    order = np.argsort(keys, kind="stable")
    reach = _KEY_BITS
    while True:
        arranged = keys[order]
        ranks = np.empty(count, np.int64)
        ranks[order] = np.concatenate(([1], 1 + np.cumsum(arranged[1:] != arranged[:-1])))
        if ranks[order[-1]] == count or reach >= count:
            return order
        after = np.zeros(count, np.int64)
        after[: count - reach] = ranks[reach:]
        keys = ranks * (count + 1) + after
        order = np.argsort(keys, kind="stable")
        reach *= 2


def _keys(bits: Bits) -> Integers:
    """The next 57 bits at each place, and how many there are: a shorter rest comes before all that it begins."""
    count = len(bits)
    values, size = np.concatenate((bits.astype(np.int64), np.zeros(_KEY_BITS - 1, np.int64))), 1
    while size < _KEY_BITS:
        step = min(size, _KEY_BITS - size)
        values = (values[: len(values) - step] << step) | (values[step:] & ((1 << step) - 1))
        size += step
    keys: Integers = values << _LENGTH_BITS | np.minimum(np.arange(count, 0, -1), _KEY_BITS)
    return keys


@numba.njit(cache=True, nogil=True)
def shared_prefixes(bits: Bits, order: Integers) -> Places:  # pragma: no cover - compiled
    """How many bits each suffix shares with the one before it in order (Kasai et al., CPM 2001); the first none."""
    count = len(bits)
    ranks = np.empty(count, np.int32)
    for rank in range(count):
        ranks[order[rank]] = rank
    shared = np.zeros(count, np.int32)
    length = 0
    for place in range(count):
        rank = ranks[place]
        if rank == 0:
            length = 0
            continue
        other = order[rank - 1]
        while place + length < count and other + length < count and bits[place + length] == bits[other + length]:
            length += 1
        shared[rank] = length
        if length:
            length -= 1
    return shared


@numba.njit(cache=True, nogil=True)
def recurrences(shared: Places) -> tuple[Integers, Integers]:  # pragma: no cover - compiled
    """By length: how often the commonest substring occurs, and how many pairs of places have equal substrings.

    Suffixes that share at least a length lie side by side. A stack has the groups that are still open, each with its
    length and size; one that ends joins the group below it, which makes their members pairs of that shorter length.
    """
    count = len(shared)
    longest = 0
    for rank in range(count):
        longest = max(longest, shared[rank])
    most, pairs = np.ones(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    lengths, sizes = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    top = 0
    for rank in range(1, count + 1):
        length = shared[rank] if rank < count else 0
        size = 1  # suffixes that end at rank - 1 and share more than `length`
        while top and lengths[top] > length:
            joined = sizes[top] + size
            pairs[lengths[top]] += sizes[top] * size
            most[lengths[top]] = max(most[lengths[top]], joined)
            size = joined
            top -= 1
        if top and lengths[top] == length:
            pairs[length] += sizes[top] * size
            sizes[top] += size
            most[length] = max(most[length], sizes[top])
        else:
            top += 1
            lengths[top], sizes[top] = length, size
    for length in range(longest - 1, -1, -1):
        most[length] = max(most[length], most[length + 1])
        pairs[length] += pairs[length + 1]
    return most, pairs
