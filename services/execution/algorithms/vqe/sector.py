"""The determinants of one particle number and spin, and fermion operators among them.

Spin orbitals are numbered alpha first: p is orbital p with spin up, n + p with spin down. A determinant is an integer
whose bit p says that spin orbital p is filled, with creation operators in ascending order; so it is also the basis
state of the Jordan-Wigner qubits, qubit p lowest, with the same sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.execution.algorithms.vqe.integrals import ActiveSpace


@dataclass(frozen=True, slots=True)
class Moves:
    """A product of ladder operators as a partial map: `sources[k]` goes to `signs[k]` times `targets[k]`."""

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    signs: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sector:
    """All determinants of `pairs` up and `pairs` down electrons in `orbitals` orbitals, ascending."""

    orbitals: int
    pairs: int
    determinants: NDArray[np.int64]

    @classmethod
    def of(cls, orbitals: int, pairs: int) -> Sector:
        """Build the sector."""
        strings = [sum(1 << p for p in filled) for filled in combinations(range(orbitals), pairs)]
        found = sorted(up | (down << orbitals) for up in strings for down in strings)
        return cls(orbitals, pairs, np.array(found, dtype=np.int64))

    @property
    def hartree_fock(self) -> int:
        """Return the position of the determinant with the lowest orbitals filled, which is the first."""
        return 0

    def moves(self, created: Sequence[int], annihilated: Sequence[int]) -> Moves:
        """Return a†_c1 a†_c2 … a_a1 a_a2 … over spin orbitals, which must keep within the sector."""
        state = self.determinants.copy()
        sign = np.ones(len(state))
        alive = np.ones(len(state), dtype=bool)
        ladder = [(orbital, True) for orbital in created] + [(orbital, False) for orbital in annihilated]
        for orbital, creates in reversed(ladder):
            bit = 1 << orbital
            alive &= ((state & bit) == 0) == creates
            sign[np.bitwise_count(state & (bit - 1)) % 2 == 1] *= -1
            state ^= bit
        sources = np.flatnonzero(alive)
        return Moves(sources, np.searchsorted(self.determinants, state[sources]), sign[sources])

    def hamiltonian(self, space: ActiveSpace) -> NDArray[np.float64]:
        """Return the matrix of the electronic Hamiltonian, core energy included.

        H = sum h'_pq E_pq + 1/2 sum (pq|rs) E_pq E_rs with h'_pq = h_pq - 1/2 sum_r (pr|rq) and the spin-free
        excitation operators E_pq (Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory, section 2.2).
        """
        size, n = len(self.determinants), self.orbitals
        excitations = [self._spin_free(p, q) for p in range(n) for q in range(n)]
        dense = np.stack([operator.toarray().ravel() for operator in excitations])
        pairs = space.two_body.reshape(n * n, n * n)
        one_body = space.one_body - 0.5 * np.einsum("prrq->pq", space.two_body)
        matrix = (one_body.ravel() @ dense).reshape(size, size) + space.core_energy * np.eye(size)
        partners = (pairs @ dense).reshape(n * n, size, size)
        for operator, partner in zip(excitations, partners, strict=True):
            matrix += 0.5 * (operator @ partner)
        return np.asarray(matrix)

    def _spin_free(self, p: int, q: int) -> csr_array:
        size, n = len(self.determinants), self.orbitals
        parts = [self.moves([p + spin], [q + spin]) for spin in (0, n)]
        rows = np.concatenate([part.targets for part in parts])
        columns = np.concatenate([part.sources for part in parts])
        signs = np.concatenate([part.signs for part in parts])
        return csr_array((signs, (rows, columns)), shape=(size, size))
