"""Sampling of a matrix product state: each qubit in turn, and all shots that agree so far at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EVERY = 16
"""Qubits between two normalisations: the chances of as many bits, multiplied, are far from the smallest number."""


def sample_chain(
    tensors: Sequence[tuple[NDArray[np.complex128], NDArray[np.complex128]]],
    weights: Sequence[NDArray[np.float64]],
    shots: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw outcomes of all qubits; return rows of bits, qubit 0 first, and how often each occurred; some twice.

    The state is in the canonical form of Vidal (doi:10.1103/PhysRevLett.91.147902), as Aer keeps it: a pair of matrices
    for each qubit, for 0 and for 1, and between neighbours the Schmidt coefficients. With these to the right of its
    matrices, what is right of a qubit is orthonormal, so that the chance of a bit is the norm of what is left of it.
    """
    counts = np.array([shots], dtype=np.int64)
    rows = np.zeros((1, len(tensors)), dtype=np.uint8)
    left = np.ones((1, 1), dtype=np.complex128)
    alone = False
    for qubit, pair in enumerate(tensors):
        right = weights[qubit] if qubit < len(weights) else np.ones(1)
        zero, one = left @ (pair[0] * right), left @ (pair[1] * right)
        with_one = _norms(one)
        both = _norms(zero) + with_one
        if not alone and 2 * len(counts) > shots:  # hardly two shots agree: each goes on by itself
            every = np.repeat(np.arange(len(counts)), counts)
            rows, zero, one, with_one, both = rows[every], zero[every], one[every], with_one[every], both[every]
            counts, alone = np.ones_like(every), True
        if alone:
            bits = random.random(len(both)) * both < with_one
            rows[:, qubit] = bits
            left = zero
            np.copyto(left, one, where=bits[:, None])
        else:
            ones = random.binomial(counts, with_one / both)
            zeros = counts - ones
            to_zero, to_one = zeros.nonzero()[0], ones.nonzero()[0]
            rows = np.concatenate((rows[to_zero], rows[to_one]))
            rows[len(to_zero) :, qubit] = 1
            left = np.concatenate((zero[to_zero], one[to_one]))
            counts = np.concatenate((zeros[to_zero], ones[to_one]))
        if qubit % _EVERY == _EVERY - 1:
            left *= (1.0 / np.sqrt(_norms(left)))[:, None]
    return rows, counts


def _norms(vectors: NDArray[np.complex128]) -> NDArray[np.float64]:
    parts = vectors.view(np.float64)
    return np.asarray(np.einsum("ij,ij->i", parts, parts))
