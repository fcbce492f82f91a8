"""The alternating layers of QAOA on a vector of amplitudes, with exact gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Amplitudes = NDArray[np.complex128]


class Mixer(Protocol):
    """What moves amplitude between the candidates."""

    def forward(self, state: Amplitudes, angle: float) -> Amplitudes:
        """Return the state after the mixer."""
        ...

    def backward(self, state: Amplitudes, adjoint: Amplitudes, angle: float) -> tuple[Amplitudes, Amplitudes, float]:
        """Undo the mixer on both; return them and 2 Re <adjoint| d(mixer)/d(angle) |state before it>."""
        ...


@dataclass(frozen=True, slots=True)
class Layers:
    """|psi> = M(beta_p) exp(-i gamma_p C) … M(beta_1) exp(-i gamma_1 C) |start>, C = diag(`values`) to be maximised."""

    values: NDArray[np.float64]
    mixer: Mixer
    start: Amplitudes

    def state(self, gammas: NDArray[np.float64], betas: NDArray[np.float64]) -> Amplitudes:
        """Return the amplitudes of the candidates."""
        state = self.start
        for gamma, beta in zip(gammas, betas, strict=True):
            state = self.mixer.forward(state * self._phases(gamma), beta)
        return state

    def expectation(self, angles: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return <C> at (gammas, betas) and its derivatives, by one sweep forward and one back."""
        gammas, betas = np.split(angles, 2)
        state = self.state(gammas, betas)
        adjoint = self.values * state
        value = float(np.vdot(state, adjoint).real)
        slopes = np.empty((2, len(gammas)))
        for layer in reversed(range(len(gammas))):
            state, adjoint, slopes[1, layer] = self.mixer.backward(state, adjoint, betas[layer])
            slopes[0, layer] = 2 * np.vdot(adjoint, self.values * state).imag
            back = self._phases(-gammas[layer])
            state, adjoint = state * back, adjoint * back
        return value, slopes.ravel()

    def _phases(self, gamma: float) -> Amplitudes:
        return np.asarray(np.exp(-1j * gamma * self.values))
