"""The molecules on offer: their shapes and which orbitals are active."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Name = Literal["H2", "LiH", "BeH2", "H2O", "N2"]
Atom = tuple[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Molecule:
    """A molecule in the STO-3G basis at one geometry.

    `angle` is in degrees, None where all atoms lie on a line. `point_group` is abelian, so that products of irreps are
    exclusive-ors. The `frozen` lowest orbitals stay doubly occupied; all others are active.
    """

    name: Name
    bond_length: float
    angle: float | None
    point_group: str
    orbitals: int
    electrons: int
    frozen: int

    @property
    def active_orbitals(self) -> int:
        """Return the number of spatial orbitals of the active space; it takes two qubits for each."""
        return self.orbitals - self.frozen

    @property
    def active_pairs(self) -> int:
        """Return the number of electron pairs in the active space; all molecules here are singlets."""
        return self.electrons // 2 - self.frozen

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """Return the atoms with their places in Angstrom, the axis of symmetry along z."""
        length, half = self.bond_length, self.bond_length / 2
        if self.name == "LiH":
            return ("Li", (0.0, 0.0, 0.0)), ("H", (0.0, 0.0, length))
        if self.name == "BeH2":
            return ("Be", (0.0, 0.0, 0.0)), ("H", (0.0, 0.0, -length)), ("H", (0.0, 0.0, length))
        if self.angle is None:
            element = self.name[0]
            return (element, (0.0, 0.0, -half)), (element, (0.0, 0.0, half))
        half_angle = math.radians(self.angle) / 2
        y, z = length * math.sin(half_angle), length * math.cos(half_angle)
        return ("O", (0.0, 0.0, 0.0)), ("H", (0.0, y, z)), ("H", (0.0, -y, z))

    def stretched(self, bond_length: float) -> Molecule:
        """Return the molecule with bonds of another length."""
        return dataclasses.replace(self, bond_length=bond_length)


REFERENCE: Mapping[Name, Molecule] = {
    "H2": Molecule("H2", 0.735, None, "D2h", orbitals=2, electrons=2, frozen=0),
    "LiH": Molecule("LiH", 1.595, None, "C2v", orbitals=6, electrons=4, frozen=1),
    "BeH2": Molecule("BeH2", 1.326, None, "D2h", orbitals=7, electrons=6, frozen=1),
    "H2O": Molecule("H2O", 0.9584, 104.45, "C2v", orbitals=7, electrons=10, frozen=1),
    "N2": Molecule("N2", 1.098, None, "D2h", orbitals=10, electrons=14, frozen=4),
}
"""Each molecule near its equilibrium.

Freezing the 1s core of Li, Be and O costs 0.23, 0.34 and 0.08 mHa there. In nitrogen the 1s and 2s orbitals are frozen,
and six electrons move in the six orbitals that the 2p make; that costs 31 mHa. Below 1.0 Å its orbitals change order,
and those six would be others.
"""


def molecule_from(parameters: Mapping[str, Any]) -> Molecule:
    """Return the molecule that validated job parameters describe."""
    reference = REFERENCE[parameters["molecule"]]
    geometry = parameters.get("geometry", {})
    angle = None if reference.angle is None else float(geometry.get("angle_degrees", reference.angle))
    length = float(geometry.get("bond_length_angstrom", reference.bond_length))
    return dataclasses.replace(reference, bond_length=length, angle=angle)


def scan_from(parameters: Mapping[str, Any]) -> tuple[Molecule, ...]:
    """Return the molecule at each bond length of the scan, ascending; none where no scan is asked for."""
    molecule = molecule_from(parameters)
    lengths = parameters.get("scan", {}).get("bond_lengths_angstrom", [])
    return tuple(molecule.stretched(float(length)) for length in sorted(lengths))
