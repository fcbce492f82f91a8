"""Sampling of a matrix product state: each qubit in turn, and all shots that agree so far at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def sample_chain(
    tensors: Sequence[tuple[NDArray[np.complex128], NDArray[np.complex128]]],
    weights: Sequence[NDArray[np.float64]],
    shots: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw outcomes of all qubits; return a row of bits for each that occurred, qubit 0 first, and how often it did.

    The state is in the canonical form of Vidal (doi:10.1103/PhysRevLett.91.147902), as Aer keeps it: a pair of matrices
    for each qubit, for 0 and for 1, and between neighbours the Schmidt coefficients. With these to the right of its
    matrices, what is right of a qubit is orthonormal, so that the chance of a bit is the norm of what is left of it.
    """
    counts = np.array([shots], dtype=np.int64)
    rows = np.zeros((1, len(tensors)), dtype=np.uint8)
    left = np.ones((1, 1), dtype=np.complex128)
    for qubit, pair in enumerate(tensors):
        right = weights[qubit] if qubit < len(weights) else np.ones(1)
        zero, one = (left @ matrix * right for matrix in pair)
        norms = [np.einsum("ij,ij->i", each, each.conj()).real for each in (zero, one)]
        ones = random.binomial(counts, np.clip(norms[1] / (norms[0] + norms[1]), 0, 1))
        with_zero, with_one = np.flatnonzero(counts - ones), np.flatnonzero(ones)
        rows = np.concatenate((rows[with_zero], rows[with_one]))
        rows[len(with_zero) :, qubit] = 1
        left = np.concatenate(
            (zero[with_zero] / np.sqrt(norms[0][with_zero, None]), one[with_one] / np.sqrt(norms[1][with_one, None]))
        )
        counts = np.concatenate(((counts - ones)[with_zero], ones[with_one]))
    return rows, counts
