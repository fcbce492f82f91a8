"""The Hellinger fidelity of a distribution and of what becomes of it where a machine errs.

    F = (sum_x sqrt(p(x) q(x)))^2        q = R (sum_k w_k p_k)        w_k = exp(-L) L^k / k!

p = p_0 is the ideal distribution over the m measured qubits and p_k what k errors leave of it that are seen (ideal.py);
after more than three, half of them is taken for flat. L is how many such errors are to be expected: the losses of the
fitted circuit (profile.py), each times the share of its kind that is seen. R flips each bit with its readout error.
Where no errors could be drawn, what they leave is taken for flat, and q = R (w_0 p + (1 - w_0) / 2^m): the depolarising
model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.routing.prediction.ideal import Errors, Ideal
    from services.routing.prediction.model import Weights
    from services.routing.prediction.profile import Profile

_TOGETHER = 5
"""Bits that are flipped by one multiplication of matrices."""
_MOST_FLIPPED = 0.5


def fidelity(ideal: Ideal, profile: Profile, weights: Weights) -> float:
    """The Hellinger fidelity of an ideal distribution and the machine's, 0 to 1."""
    pair, single = weights.pair * profile.pair_loss, weights.single * profile.single_loss
    wrong = [min(weights.readout * error, _MOST_FLIPPED) for error in profile.readout_errors]
    if ideal.errors is None:
        kept = math.exp(-weights.seen * (pair + single))
        overlap = flipped(ideal.probabilities, wrong)
        overlap *= np.float32(kept)
        overlap += np.float32((1 - kept) / len(overlap))  # flips leave what is flat as it is
    else:
        overlap = flipped(_erring(ideal.probabilities, ideal.errors, pair, single), wrong)
    overlap *= ideal.probabilities
    np.sqrt(overlap, out=overlap)
    return min(1.0, float(overlap.sum(dtype=np.float64)) ** 2)


def _erring(right: NDArray[np.float32], errors: Errors, pair: float, single: float) -> NDArray[np.float32]:
    """The distribution before it is read."""
    pair, single = pair * (1 - errors.pair.unseen), single * (1 - errors.single.unseen)
    loss = pair + single
    none = math.exp(-loss)
    one, two = none * loss, none * loss**2 / 2
    more = max(0.0, 1 - none - one - two)
    mixed = none * right + none * pair * errors.pair.left + none * single * errors.single.left
    mixed += two * errors.two + more / 2 * errors.three + more / 2 / len(right)
    return np.asarray(mixed, dtype=np.float32)


def flipped(probabilities: NDArray[np.float32], errors: Sequence[float]) -> NDArray[np.float32]:
    """R p: each bit, the lowest first, flipped with its error."""
    size, bits = len(probabilities), len(errors)
    if size != 1 << bits:
        raise ValueError(f"{size} probabilities of {bits} bits")
    numbers = probabilities
    # The last axis is the lowest bits; each product puts them first, so that after all groups the order is the old one.
    for start in range(0, bits, _TOGETHER):
        matrix = _flips(errors[start : start + _TOGETHER])
        numbers = (matrix @ numbers.reshape(-1, len(matrix)).T).reshape(-1)
    return numbers


def _flips(errors: Sequence[float]) -> NDArray[np.float32]:
    """The matrix of some bits' flips, the first bit lowest."""
    whole = np.ones((1, 1))
    for error in errors:
        whole = np.kron(np.array([[1 - error, error], [error, 1 - error]]), whole)
    return whole.astype(np.float32)
