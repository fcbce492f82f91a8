"""The evolution of a small model as a vector of amplitudes: by the product formula, and exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import expm_multiply

from services.execution.algorithms.spins import couplings, signs, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.execution.algorithms.trotter.model import Model

    Amplitudes = NDArray[np.complex128]


def exact_states(model: Model) -> Iterator[Amplitudes]:
    """Yield the state at each recorded time, to rounding: the exponential's action by Al-Mohy and Higham.

    SIAM J. Sci. Comput. 33, 488 (2011).
    """
    generator = -1j * (model.time / model.points) * hamiltonian(model)
    state = _start(model)
    for _ in range(model.points):
        state = np.asarray(expm_multiply(generator, state))
        yield state


def trotter_states(model: Model) -> Iterator[Amplitudes]:
    """Yield the state at each recorded time that the circuits give without noise."""
    phases = np.exp(-1j * model.step * _diagonal(model))
    angle = -model.transverse * model.step
    state = _start(model)
    for _ in range(model.points):
        for _ in range(model.steps):
            if model.order == 1:
                state = turned(state * phases, angle)
            else:
                state = turned(turned(state, angle / 2) * phases, angle / 2)
        yield state


def hamiltonian(model: Model) -> csr_array:
    """Return H over all states, spin 0 the lowest bit."""
    size = 1 << model.spins
    states = np.arange(size)
    total = diags_array(_diagonal(model)).tocsr()
    for spin in range(model.spins):
        flips = csr_array((np.full(size, -model.transverse), (states ^ (1 << spin), states)), shape=(size, size))
        total = total + flips
    return total


def _diagonal(model: Model) -> NDArray[np.float64]:
    field = sum((signs(model.spins, spin) for spin in range(model.spins)), np.zeros(1 << model.spins))
    return -couplings(model.spins, model.weighted_edges) - model.longitudinal * field


def _start(model: Model) -> Amplitudes:
    state = np.zeros(1 << model.spins, dtype=complex)
    state[model.start] = 1.0
    return state
