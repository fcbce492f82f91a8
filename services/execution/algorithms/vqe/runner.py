"""vqe.molecular.v2 from parameters to result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.algorithm import AlgorithmResult
from services.execution.algorithms.vqe.ansatz import OPTIMIZER, Ansatz, Excitation, Optimum, excitations_of
from services.execution.algorithms.vqe.circuit import ansatz_circuit
from services.execution.algorithms.vqe.estimate import estimate
from services.execution.algorithms.vqe.fermions import hamiltonian
from services.execution.algorithms.vqe.integrals import ActiveSpace, solve_mean_field
from services.execution.algorithms.vqe.molecules import Molecule, molecule_from
from services.execution.algorithms.vqe.observable import observable_of
from services.execution.algorithms.vqe.sector import Sector
from services.execution.programs.measure import features_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.algorithms.algorithm import Progress
    from services.execution.engines.device import Device
    from services.execution.engines.engine import FidelityMethod


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

    def energy_of(self, state: NDArray[np.complex128]) -> float:
        """Return the energy, in Hartree, of a state of the qubits within the sector."""
        amplitudes = state[self.sector.determinants]
        return float(np.vdot(amplitudes, self.matrix @ amplitudes).real)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the energy was read out of the solution."""

    energy: float
    standard_error: float | None
    shots: int
    settings: int
    fidelity: float
    fidelity_method: FidelityMethod


class VqeRunner:
    """Solves, optimises and measures."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Find the ground state; see `Runner.run`."""
        solution = solve(molecule_from(parameters), progress=progress)
        progress(0.8, "measuring")
        state = device.statevector(solution.circuit)
        if parameters.get("estimator", "sampled") == "sampled":
            reading = _sampled(solution, state, shots=shots, seed=seed)
        else:
            reading = _Reading(solution.energy_of(state), None, 0, 0, 1.0, "exact")
        progress(1.0, "done")
        return AlgorithmResult(
            result=_result(solution, reading),
            fidelity=reading.fidelity,
            fidelity_method=reading.fidelity_method,
            qubits_used=2 * solution.sector.orbitals,
        )


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


def _sampled(solution: Solution, state: NDArray[np.complex128], *, shots: int, seed: int) -> _Reading:
    observable = observable_of(hamiltonian(solution.space))
    found = estimate(observable, state, shots=shots, seed=seed)
    settings = len(observable.groups)
    if found.fidelity is None:
        return _Reading(found.energy, found.standard_error, shots, settings, 1.0, "exact")
    return _Reading(found.energy, found.standard_error, shots, settings, found.fidelity, "ideal_comparison")


def _result(solution: Solution, reading: _Reading) -> dict[str, Any]:
    molecule, space, features = solution.molecule, solution.space, features_of(solution.circuit)
    return {
        "molecule": molecule.name,
        "geometry": {"bond_length_angstrom": molecule.bond_length, "angle_degrees": molecule.angle},
        "basis": "sto-3g",
        "energy_hartree": reading.energy,
        "standard_error_hartree": reading.standard_error,
        "estimator": "exact" if reading.standard_error is None else "sampled",
        "shots_total": reading.shots,
        "measurement_settings": reading.settings,
        "ansatz_energy_hartree": solution.optimum.energy,
        "reference": {
            "hartree_fock_hartree": space.hartree_fock_energy,
            "fci_hartree": space.fci_energy,
            "error_vs_fci_hartree": reading.energy - space.fci_energy,
            "best_classical": {"method": "full configuration interaction", "energy_hartree": space.fci_energy},
        },
        "active_space": {
            "electrons": 2 * space.pairs,
            "orbitals": space.orbitals,
            "frozen_orbitals": molecule.frozen,
            "qubits": 2 * space.orbitals,
            "mapping": "jordan_wigner",
        },
        "ansatz": {
            "name": "disentangled UCCSD",
            "parameters": len(solution.excitations),
            "depth": features.depth,
            "gates": features.gate_count,
            "two_qubit_gates": features.two_qubit_gate_count,
        },
        "optimization": {
            "optimizer": OPTIMIZER,
            "iterations": solution.optimum.iterations,
            "gradient": "exact_simulation",
        },
    }
