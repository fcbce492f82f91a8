"""The optimised ansatz of one molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.execution.algorithms.vqe.ansatz import Ansatz, Excitation, Optimum, excitations_of
from services.execution.algorithms.vqe.circuit import ansatz_circuit
from services.execution.algorithms.vqe.integrals import ActiveSpace, solve_mean_field
from services.execution.algorithms.vqe.molecules import Molecule
from services.execution.algorithms.vqe.sector import Sector

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.algorithms.algorithm import Progress


@dataclass(frozen=True, slots=True)
class Solution:
    """The optimised ansatz of one molecule, as amplitudes and as a circuit."""

    molecule: Molecule
    space: ActiveSpace
    sector: Sector
    matrix: NDArray[np.float64]
    excitations: tuple[Excitation, ...]
    optimum: Optimum
    circuit: QuantumCircuit

    @property
    def state(self) -> NDArray[np.complex128]:
        """Return the optimised state over all states of the qubits, qubit 0 lowest."""
        amplitudes = np.zeros(1 << 2 * self.sector.orbitals, dtype=complex)
        amplitudes[self.sector.determinants] = self.optimum.state
        return amplitudes

    def energy_of(self, state: NDArray[np.complex128]) -> float:
        """Return the energy, in Hartree, of a state of the qubits within the sector."""
        amplitudes = state[self.sector.determinants]
        return float(np.vdot(amplitudes, self.matrix @ amplitudes).real)


def solve(molecule: Molecule, *, progress: Progress) -> Solution:
    """Optimise the ansatz of a molecule.

    Raises AlgorithmError where Hartree-Fock does not converge.
    """
    progress(0.0, "solving the mean field")
    space = solve_mean_field(molecule)
    sector = Sector.of(space.orbitals, space.pairs)
    excitations = excitations_of(space)
    matrix = sector.hamiltonian(space)
    progress(0.3, "optimising")
    optimum = Ansatz(sector, excitations).minimise(
        matrix,
        # Not the energy: it is what the job is paid for, and whoever cancels pays nothing.
        lambda iteration, _: progress(0.3 + 0.4 * iteration / (iteration + 10), f"iteration {iteration}"),
    )
    progress(0.7, "building the circuit")
    circuit = ansatz_circuit(sector, excitations, optimum.angles)
    return Solution(molecule, space, sector, matrix, excitations, optimum, circuit)
