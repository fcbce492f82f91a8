"""Electronic integrals, the Hartree-Fock state and the FCI reference, by PySCF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyscf
from pyscf import ao2mo, fci, gto, mcscf, scf, symm

from services.execution.algorithms.algorithm import AlgorithmError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.execution.algorithms.vqe.molecules import Molecule


@dataclass(frozen=True, slots=True)
class ActiveSpace:
    """The electronic problem of the active orbitals, in Hartree.

    `one_body[p, q]` and `two_body[p, q, r, s]` = (pq|rs) are over real spatial orbitals in order of energy;
    `core_energy` holds the nuclei and the frozen electrons. `irreps` multiply by exclusive-or. `casci_energy` is exact
    within the active space, `fci_energy` in the whole basis, frozen orbitals included.
    """

    core_energy: float
    one_body: NDArray[np.float64]
    two_body: NDArray[np.float64]
    pairs: int
    irreps: tuple[int, ...]
    hartree_fock_energy: float
    casci_energy: float
    fci_energy: float

    @property
    def orbitals(self) -> int:
        """Return the number of spatial orbitals."""
        return len(self.irreps)


def solve_mean_field(molecule: Molecule) -> ActiveSpace:
    """Run restricted Hartree-Fock and FCI, and return the integrals of the active space.

    Raises AlgorithmError where Hartree-Fock does not converge.
    """
    pyscf.lib.num_threads(1)
    atoms = gto.M(atom=molecule.atoms, basis="sto-3g", unit="Angstrom", symmetry=molecule.point_group, verbose=0)
    mean_field = scf.RHF(atoms)
    mean_field.conv_tol = 1e-11
    mean_field.kernel()
    if not mean_field.converged:
        mean_field = mean_field.newton()
        mean_field.kernel()
    if not mean_field.converged:
        raise AlgorithmError(f"Hartree-Fock did not converge for {molecule.name} at this geometry")
    coefficients = _fixed_signs(mean_field.mo_coeff)
    irreps = symm.label_orb_symm(atoms, atoms.irrep_id, atoms.symm_orb, coefficients)
    size = molecule.active_orbitals
    space = mcscf.CASCI(mean_field, size, 2 * molecule.active_pairs)
    one_body, core_energy = space.get_h1eff(coefficients)
    two_body = ao2mo.restore(1, space.get_h2eff(coefficients), size)
    return ActiveSpace(
        core_energy=float(core_energy),
        one_body=np.asarray(one_body),
        two_body=np.asarray(two_body),
        pairs=molecule.active_pairs,
        irreps=tuple(int(irrep) for irrep in irreps[molecule.frozen :]),
        hartree_fock_energy=float(mean_field.e_tot),
        casci_energy=float(space.kernel(coefficients)[0]),
        fci_energy=float(fci.FCI(mean_field).kernel()[0]),
    )


def _fixed_signs(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the largest entry of each orbital positive: the sign an eigensolver gives is arbitrary."""
    plain = np.array(coefficients)
    largest = plain[np.abs(plain).argmax(axis=0), np.arange(plain.shape[1])]
    return plain * np.where(largest < 0, -1.0, 1.0)
