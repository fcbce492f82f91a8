"""The molecules on offer: their shapes and which orbitals are active."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Name = Literal["H2", "LiH", "H2O"]
Atom = tuple[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Molecule:
    """A molecule in the STO-3G basis at one geometry.

    `angle` is in degrees, None for two atoms. `point_group` is abelian, so that products of irreps are exclusive-ors.
    The `frozen` lowest orbitals stay doubly occupied; all others are active.
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
        if self.angle is None:
            first, second = ("H", "H") if self.name == "H2" else ("Li", "H")
            half = self.bond_length / 2 if self.name == "H2" else 0.0
            return (first, (0.0, 0.0, -half)), (second, (0.0, 0.0, self.bond_length - half))
        half_angle = math.radians(self.angle) / 2
        y, z = self.bond_length * math.sin(half_angle), self.bond_length * math.cos(half_angle)
        return ("O", (0.0, 0.0, 0.0)), ("H", (0.0, y, z)), ("H", (0.0, -y, z))


REFERENCE: Mapping[Name, Molecule] = {
    "H2": Molecule("H2", 0.735, None, "D2h", orbitals=2, electrons=2, frozen=0),
    "LiH": Molecule("LiH", 1.595, None, "C2v", orbitals=6, electrons=4, frozen=1),
    "H2O": Molecule("H2O", 0.9584, 104.45, "C2v", orbitals=7, electrons=10, frozen=1),
}
"""Each molecule near its equilibrium. Freezing the 1s core of Li and O costs 0.23 and 0.08 mHa there."""


def molecule_from(parameters: Mapping[str, Any]) -> Molecule:
    """Return the molecule that validated job parameters describe."""
    reference = REFERENCE[parameters["molecule"]]
    geometry = parameters.get("geometry", {})
    angle = None if reference.angle is None else float(geometry.get("angle_degrees", reference.angle))
    return Molecule(
        reference.name,
        float(geometry.get("bond_length_angstrom", reference.bond_length)),
        angle,
        reference.point_group,
        reference.orbitals,
        reference.electrons,
        reference.frozen,
    )
