"""The Hellinger fidelity of a distribution and of what becomes of it where a machine errs.

    q = R (g p + (1 - g) / 2^m)        F = (sum_x sqrt(p(x) q(x)))^2

p is the ideal distribution over the m measured qubits, g the probability that no gate errs, and R flips each bit with
its readout error. An error anywhere is taken to leave nothing of the state: the depolarising model. R leaves the flat
distribution as it is, so q = g R p + (1 - g) / 2^m.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Float = TypeVar("Float", np.float32, np.float64)

_TOGETHER = 4
"""Bits that are flipped by one multiplication of matrices."""


def flipped(probabilities: NDArray[Float], errors: Sequence[float]) -> NDArray[Float]:
    """R p: each bit, the lowest first, flipped with its error."""
    size, bits = len(probabilities), len(errors)
    if size != 1 << bits:
        raise ValueError(f"{size} probabilities of {bits} bits")
    numbers = probabilities
    # The last axis is the lowest bits; each product puts them first, so that after all groups the order is the old one.
    for start in range(0, bits, _TOGETHER):
        matrix = _flips(errors[start : start + _TOGETHER]).astype(probabilities.dtype)
        numbers = (matrix @ numbers.reshape(-1, len(matrix)).T).reshape(-1)
    return numbers


def fidelity(probabilities: NDArray[Float], gate_fidelity: float, errors: Sequence[float]) -> float:
    """The Hellinger fidelity of an ideal distribution and the machine's, 0 to 1."""
    mixed = gate_fidelity * flipped(probabilities, errors) + (1 - gate_fidelity) / len(probabilities)
    return min(1.0, float(np.sqrt(probabilities * mixed).sum(dtype=np.float64)) ** 2)


def _flips(errors: Sequence[float]) -> NDArray[np.float64]:
    """The matrix of some bits' flips, the first bit lowest."""
    whole = np.ones((1, 1))
    for error in errors:
        whole = np.kron(np.array([[1 - error, error], [error, 1 - error]]), whole)
    return whole
