"""The angles that QAOA starts with: known ones, carried over to the problem. Light, for describers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORK = 2**23
"""Amplitudes times layers of all evaluations together: about four seconds of one core."""
_MOST_EVALUATIONS = 40

_GAMMAS = (
    (0.5000,),
    (0.3817, 0.6655),
    (0.3297, 0.5688, 0.6406),
    (0.2949, 0.5144, 0.5586, 0.6429),
    (0.2705, 0.4804, 0.5074, 0.5646, 0.6397),
    (0.2528, 0.4531, 0.4750, 0.5146, 0.5650, 0.6392),
    (0.2383, 0.4327, 0.4516, 0.4830, 0.5147, 0.5686, 0.6393),
    (0.2268, 0.4162, 0.4332, 0.4608, 0.4818, 0.5179, 0.5717, 0.6393),
)
_BETAS = (
    (0.3927,),
    (0.4960, 0.2690),
    (0.5500, 0.3675, 0.2109),
    (0.5710, 0.4176, 0.3028, 0.1729),
    (0.5899, 0.4492, 0.3559, 0.2643, 0.1486),
    (0.6004, 0.4670, 0.3880, 0.3176, 0.2325, 0.1291),
    (0.6085, 0.4810, 0.4090, 0.3534, 0.2857, 0.2080, 0.1146),
    (0.6151, 0.4906, 0.4244, 0.3780, 0.3224, 0.2606, 0.1884, 0.1030),
)
"""Best angles for cuts of large graphs of many edges, 1 to 8 layers (Basso, Farhi, Marwaha, Villalonga, Zhou,
arXiv:2110.14206, table 4), gamma before the scaling to the degree."""


def known(layers: int, scale: float) -> NDArray[np.float64]:
    """Return 2 gamma times `scale`, then beta; in the limit of large unweighted graphs scale is 1/sqrt(degree)."""
    return np.concatenate([2 * scale * np.array(_GAMMAS[layers - 1]), np.array(_BETAS[layers - 1])])


def evaluations_for(amplitudes: int, layers: int) -> int:
    """Return how many evaluations the work allows, 1 to 40."""
    return max(1, min(_MOST_EVALUATIONS, _WORK // (amplitudes * layers)))
