"""The mixer of portfolios: neighbours on a ring of assets exchange places, so that the budget is kept.

Hadfield et al., "From the quantum approximate optimization algorithm to a quantum alternating operator ansatz",
Algorithms 12, 34 (2019), the XY mixer; Wang, Rubin, Dominy, Rieffel, Phys. Rev. A 101, 012320 (2020).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.execution.algorithms.qaoa.layers import Amplitudes


def ring(assets: int) -> list[tuple[int, int]]:
    """Return the pairs of neighbours, first those that share no asset; two assets are one pair."""
    pairs = [(first, first + 1) for start in (0, 1) for first in range(start, assets - 1, 2)]
    return pairs if assets == 2 else [*pairs, (0, assets - 1)]  # noqa: PLR2004 - two on a ring are neighbours once


class Exchanges:
    """One exp(-i beta (XX + YY) / 2) a pair of the ring, on the amplitudes of the portfolios; see `Mixer`."""

    def __init__(self, portfolios: NDArray[np.int64], assets: int) -> None:
        """Tabulate which portfolios each pair exchanges."""
        self._moves = []
        for first, second in ring(assets):
            own = np.flatnonzero((portfolios >> first & 1) > (portfolios >> second & 1))
            other = np.searchsorted(portfolios, portfolios[own] ^ (1 << first | 1 << second))
            self._moves.append((own, other))

    def forward(self, state: Amplitudes, angle: float) -> Amplitudes:
        """Return the state after the mixer."""
        state = state.copy()
        for move in self._moves:
            _rotate(state, move, angle)
        return state

    def backward(self, state: Amplitudes, adjoint: Amplitudes, angle: float) -> tuple[Amplitudes, Amplitudes, float]:
        """Undo the mixer on both; see `Mixer.backward`."""
        state, adjoint, slope = state.copy(), adjoint.copy(), 0.0
        for own, other in reversed(self._moves):
            flow = np.vdot(adjoint[own], state[other]) + np.vdot(adjoint[other], state[own])
            slope += 2 * float(flow.imag)
            _rotate(state, (own, other), -angle)
            _rotate(adjoint, (own, other), -angle)
        return state, adjoint, slope


def _rotate(state: Amplitudes, move: tuple[NDArray[np.int64], NDArray[np.int64]], angle: float) -> None:
    own, other = move
    cosine, sine = math.cos(angle), -1j * math.sin(angle)
    left, right = state[own], state[other]
    state[own] = cosine * left + sine * right
    state[other] = sine * left + cosine * right
