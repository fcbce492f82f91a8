"""Unitary coupled cluster with singles and doubles as an ordered product of exact exponentials.

|psi> = exp(t_m G_m) … exp(t_1 G_1) |HF> with G = T - T† for one excitation T each. G rotates pairs of determinants into
each other, so exp(tG) is a set of plane rotations and gradients are exact (Evangelista, Chan, Scuseria,
J. Chem. Phys. 151, 244112 (2019), disentangled UCC).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from services.execution.algorithms.vqe.integrals import ActiveSpace
    from services.execution.algorithms.vqe.sector import Moves, Sector

OPTIMIZER = "L-BFGS-B"
_GRADIENT_TOLERANCE = 1e-6
_MOST_ITERATIONS = 500
_DECIMALS = 5
"""Of the angles in radians: the same job makes the same circuit on every processor. It costs about 1e-9 Hartree."""


@dataclass(frozen=True, slots=True)
class Excitation:
    """T = product of a† over `created` times product of a over `annihilated`, as spin orbitals (see `Sector`)."""

    created: tuple[int, ...]
    annihilated: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The end of an optimisation: the angles in the order of the excitations, and the state among determinants."""

    energy: float
    angles: tuple[float, ...]
    state: NDArray[np.float64]
    iterations: int


def excitations_of(space: ActiveSpace) -> tuple[Excitation, ...]:
    """Return doubles, then singles, that keep the spin and the symmetry of the Hartree-Fock state."""
    n, pairs = space.orbitals, space.pairs
    irrep = {p: space.irreps[p % n] for p in range(2 * n)}
    filled = [p for p in range(2 * n) if p % n < pairs]
    empty = [p for p in range(2 * n) if p % n >= pairs]

    def allowed(left: Sequence[int], right: Sequence[int]) -> bool:
        same_spin = sum(p >= n for p in left) == sum(p >= n for p in right)
        product = np.bitwise_xor.reduce([irrep[p] for p in (*left, *right)])
        return same_spin and int(product) == 0

    return tuple(
        Excitation(created, annihilated)
        for order in (2, 1)
        for annihilated in combinations(filled, order)
        for created in combinations(empty, order)
        if allowed(created, annihilated)
    )


class Ansatz:
    """The product of exponentials on the determinants of a sector."""

    def __init__(self, sector: Sector, excitations: Sequence[Excitation]) -> None:
        """Tabulate which pairs of determinants each exponential rotates."""
        self._moves = [sector.moves(item.created, item.annihilated) for item in excitations]
        self._start = np.zeros(len(sector.determinants))
        self._start[sector.hartree_fock] = 1.0

    def state(self, angles: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the amplitudes of the state over the sector's determinants."""
        state = self._start.copy()
        for moves, angle in zip(self._moves, angles, strict=True):
            _rotate(state, moves, angle)
        return state

    def energy_and_gradient(
        self, angles: NDArray[np.float64], hamiltonian: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the energy and its exact derivatives by one sweep forward and one back."""
        state = self.state(angles)
        adjoint = hamiltonian @ state
        energy = float(state @ adjoint)
        gradient = np.empty(len(angles))
        for k in range(len(angles) - 1, -1, -1):
            moves = self._moves[k]
            sources, targets = state[moves.sources], state[moves.targets]
            flow = adjoint[moves.targets] * sources - adjoint[moves.sources] * targets
            gradient[k] = 2 * float(moves.signs @ flow)
            _rotate(state, moves, -angles[k])
            _rotate(adjoint, moves, -angles[k])
        return energy, gradient

    def minimise(self, hamiltonian: NDArray[np.float64], report: Callable[[int, float], None]) -> Optimum:
        """Return the minimum found from the Hartree-Fock state; `report` gets each iteration's number and energy."""
        iterations = 0

        def after_iteration(intermediate_result: object) -> None:
            nonlocal iterations
            iterations += 1
            report(iterations, float(intermediate_result.fun))  # type: ignore[attr-defined]  # scipy's OptimizeResult

        found = minimize(
            self.energy_and_gradient,
            np.zeros(len(self._moves)),
            args=(hamiltonian,),
            jac=True,
            method=OPTIMIZER,
            callback=after_iteration,
            options={"gtol": _GRADIENT_TOLERANCE, "ftol": 1e-14, "maxiter": _MOST_ITERATIONS, "maxcor": 30},
        )
        angles = np.round(found.x, _DECIMALS) + 0.0
        energy, _ = self.energy_and_gradient(angles, hamiltonian)
        return Optimum(energy, tuple(angles.tolist()), self.state(angles), iterations)


def _rotate(state: NDArray[np.float64], moves: Moves, angle: float) -> None:
    """Apply exp(angle G) in place."""
    cosine, sine = np.cos(angle), np.sin(angle) * moves.signs
    sources, targets = state[moves.sources], state[moves.targets]
    state[moves.sources] = cosine * sources - sine * targets
    state[moves.targets] = cosine * targets + sine * sources
