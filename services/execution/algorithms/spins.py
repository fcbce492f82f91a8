"""Vectors of amplitudes over all states of a few spins: Ising energies, and the rotation of every spin about x.

Spin q is bit q of a state's number, the lowest first; bit 0 is spin up, Z = +1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 5
"""Spins rotated by one matrix product: 32 rows are the fastest on this kind of machine."""


def signs(spins: int, spin: int) -> NDArray[np.float64]:
    """Return Z of one spin in every state."""
    pattern = np.repeat([1.0, -1.0], 1 << spin)
    return np.tile(pattern, 1 << (spins - spin - 1))


def couplings(spins: int, edges: Sequence[tuple[int, int, float]]) -> NDArray[np.float64]:
    """Return the sum of weight times Z Z over the edges, in every state."""
    total = np.zeros(1 << spins)
    for first, second, weight in edges:
        total += weight * signs(spins, first) * signs(spins, second)
    return total


def turned(state: NDArray[np.complex128], angle: float) -> NDArray[np.complex128]:
    """Return exp(-i angle X) on every spin of a state."""
    rotation = np.array([[np.cos(angle), -1j * np.sin(angle)], [-1j * np.sin(angle), np.cos(angle)]])
    for low, width in _blocks(state):
        matrix = reduce(np.kron, [rotation] * width)
        state = _multiplied(matrix, state, low, width)
    return state


def flipped(state: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the sum of X over the spins, applied to a state."""
    total = np.zeros_like(state)
    for low, width in _blocks(state):
        matrix = np.zeros((1 << width, 1 << width), dtype=complex)
        for place in range(width):
            rows = np.arange(1 << width)
            matrix[rows, rows ^ (1 << place)] = 1.0
        total += _multiplied(matrix, state, low, width)
    return total


def _blocks(state: NDArray[np.complex128]) -> list[tuple[int, int]]:
    spins = state.size.bit_length() - 1
    return [(low, min(_BLOCK, spins - low)) for low in range(0, spins, _BLOCK)]


def _multiplied(
    matrix: NDArray[np.complex128], state: NDArray[np.complex128], low: int, width: int
) -> NDArray[np.complex128]:
    tensor = state.reshape(-1, 1 << width, 1 << low)
    return np.asarray(np.matmul(matrix, tensor)).reshape(-1)
