"""vqe.molecular.v2 from parameters to result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.picture import Bars, Line, bars, lines
from services.execution.algorithms.vqe.ansatz import OPTIMIZER
from services.execution.algorithms.vqe.estimate import Estimate
from services.execution.algorithms.vqe.molecules import Molecule, molecule_from, scan_from
from services.execution.algorithms.vqe.reading import Reader
from services.execution.algorithms.vqe.solution import Solution, solve
from services.execution.programs.measure import features_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_MILLI = 1e3


@dataclass(frozen=True, slots=True)
class _Point:
    """A solved molecule and how its energy was read."""

    solution: Solution
    found: Estimate


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
        """Find the ground state, and those along the scan; see `Runner.run`."""
        sampled = parameters.get("estimator", "sampled") == "sampled"
        reader = Reader(device, sampled=sampled, shots=shots, seed=seed)
        molecules = (molecule_from(parameters), *scan_from(parameters))
        points = [
            _point(molecule, reader, _part(progress, index, molecules)) for index, molecule in enumerate(molecules)
        ]
        progress(1.0, "done")
        first, scan = points[0], points[1:]
        result = {
            **_result(first, sum(point.found.shots for point in points)),
            "scan": {"points": [_scanned(point) for point in scan]} if scan else None,
            "picture": _curve(scan) if scan else _levels(first),
        }
        return reader.result(result, 2 * first.solution.sector.orbitals)


def _part(progress: Progress, index: int, molecules: Sequence[Molecule]) -> Progress:
    """Return the progress of one molecule among several."""
    return lambda done, word: progress((index + done) / len(molecules), word)


def _point(molecule: Molecule, reader: Reader, progress: Progress) -> _Point:
    solution = solve(molecule, progress=progress)
    progress(0.8, "measuring")
    return _Point(solution, reader.read(solution))


def _result(point: _Point, shots: int) -> dict[str, Any]:
    solution, found = point.solution, point.found
    molecule, space, features = solution.molecule, solution.space, features_of(solution.circuit)
    return {
        "molecule": molecule.name,
        "geometry": {"bond_length_angstrom": molecule.bond_length, "angle_degrees": molecule.angle},
        "basis": "sto-3g",
        "energy_hartree": found.energy,
        "standard_error_hartree": found.standard_error,
        "estimator": "exact" if found.standard_error is None else "sampled",
        "shots_total": shots,
        "measurement_settings": found.settings,
        "ansatz_energy_hartree": solution.optimum.energy,
        "reference": {
            "hartree_fock_hartree": space.hartree_fock_energy,
            "casci_hartree": space.casci_energy,
            "fci_hartree": space.fci_energy,
            "error_vs_casci_hartree": found.energy - space.casci_energy,
            "error_vs_fci_hartree": found.energy - space.fci_energy,
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


def _scanned(point: _Point) -> dict[str, Any]:
    space = point.solution.space
    return {
        "bond_length_angstrom": point.solution.molecule.bond_length,
        "energy_hartree": point.found.energy,
        "standard_error_hartree": point.found.standard_error,
        "ansatz_energy_hartree": point.solution.optimum.energy,
        "hartree_fock_hartree": space.hartree_fock_energy,
        "casci_hartree": space.casci_energy,
        "fci_hartree": space.fci_energy,
    }


def _levels(point: _Point) -> str:
    """Draw how far each method is above the exact energy of the basis."""
    space, found = point.solution.space, point.found
    error = found.standard_error
    energies = {
        "Hartree-Fock": space.hartree_fock_energy,
        "VQE": found.energy,
        "ansatz, exactly": point.solution.optimum.energy,
        "CASCI": space.casci_energy,
    }
    above = [_MILLI * (energy - space.fci_energy) for energy in energies.values()]
    whiskers = [0.0, _MILLI * error, 0.0, 0.0] if error is not None else None
    description = (
        f"Energies of {point.solution.molecule.name} above full configuration interaction in thousandths of a Hartree:"
        f" {', '.join(f'{name} {value:.2f}' for name, value in zip(energies, above, strict=True))}."
    )
    title = f"{point.solution.molecule.name}: energy above FCI"
    return bars(title, description, list(energies), [Bars("above FCI", above, whiskers, marked=[1])], axis="mHa")


def _curve(scan: Sequence[_Point]) -> str:
    """Draw the energies over the bond length."""
    name = scan[0].solution.molecule.name
    lengths = [point.solution.molecule.bond_length for point in scan]
    errors = [point.found.standard_error or 0.0 for point in scan]
    spaces = [point.solution.space for point in scan]
    series = [
        Line("VQE", lengths, [point.found.energy for point in scan], "dots", errors if any(errors) else None),
        Line("Hartree-Fock", lengths, [space.hartree_fock_energy for space in spaces], "dashed"),
        Line("FCI", lengths, [space.fci_energy for space in spaces]),
    ]
    description = (
        f"Energy of {name} at {len(scan)} bond lengths from {lengths[0]:g} to {lengths[-1]:g} Å by VQE, Hartree-Fock"
        " and full configuration interaction."
    )
    title = f"{name}: energy over the bond length"
    return lines(title, description, series, x_axis="bond length (Å)", y_axis="energy (Ha)")
