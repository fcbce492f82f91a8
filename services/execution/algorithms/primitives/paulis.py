"""Pauli strings, and the measurement settings that read many of them at once.

A string is two integers: bit q of `x` and `z` gives the Pauli on qubit q (X: 10, Y: 11, Z: 01, I: 00). In text, qubit 0
is rightmost, as in Qiskit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

_LEAST_SHOTS = 2
"""Of a setting: with fewer there is no spread."""
_LETTERS = {(0, 0): "I", (1, 0): "X", (1, 1): "Y", (0, 1): "Z"}


class Pauli(NamedTuple):
    """A Pauli string without a sign."""

    x: int
    z: int

    @classmethod
    def read(cls, text: str) -> Pauli:
        """Read letters, qubit 0 rightmost."""
        return cls(
            int("".join("1" if letter in "XY" else "0" for letter in text), 2),
            int("".join("1" if letter in "YZ" else "0" for letter in text), 2),
        )

    @property
    def support(self) -> int:
        """Return the bits of the qubits on which it is not I."""
        return self.x | self.z

    def text(self, qubits: int) -> str:
        """Write the letters, qubit 0 rightmost."""
        return "".join(_LETTERS[self.x >> qubit & 1, self.z >> qubit & 1] for qubit in reversed(range(qubits)))


IDENTITY = Pauli(0, 0)


@dataclass(slots=True)
class Setting:
    """Strings that commute qubit by qubit, and the Pauli in which each qubit is measured for them."""

    basis: Pauli = IDENTITY
    strings: list[Pauli] = field(default_factory=list)
    weight: float = 0.0
    """The norm of their coefficients, over all observables."""

    def admits(self, string: Pauli) -> bool:
        """Tell whether a string has the setting's Pauli wherever both have one."""
        both = self.basis.support & string.support
        return ((self.basis.x ^ string.x) | (self.basis.z ^ string.z)) & both == 0

    def add(self, string: Pauli, weight: float) -> None:
        """Put a string into the setting."""
        self.basis = Pauli(self.basis.x | string.x, self.basis.z | string.z)
        self.strings.append(string)
        self.weight = float(np.hypot(self.weight, weight))

    @property
    def measured(self) -> list[int]:
        """Return the qubits that are measured, in ascending order."""
        return [qubit for qubit in range(self.basis.support.bit_length()) if self.basis.support >> qubit & 1]


def settings_of(weights: Mapping[Pauli, float]) -> list[Setting]:
    """Group the strings by sorted insertion, the heaviest first; the identity needs no setting.

    Crawford et al., Quantum 5, 385 (2021): of the simple groupings this needs the fewest shots.
    """
    settings: list[Setting] = []
    for string in sorted(weights, key=lambda each: (-weights[each], each)):
        if string == IDENTITY:
            continue
        home = next((setting for setting in settings if setting.admits(string)), None)
        if home is None:
            home = Setting()
            settings.append(home)
        home.add(string, weights[string])
    return settings


def shares(settings: Sequence[Setting], shots: int) -> list[int]:
    """Divide the shots among settings in proportion to their weights, at least 2 to each.

    Raises ValueError where the shots are fewer than that.
    """
    free = shots - _LEAST_SHOTS * len(settings)
    if free < 0:
        raise ValueError(f"{shots} shots are too few for {len(settings)} settings")
    weights = np.array([setting.weight for setting in settings])
    exact = free * (weights / weights.sum() if weights.any() else np.full(len(weights), 1 / max(1, len(weights))))
    given = np.floor(exact).astype(int)
    for index in np.argsort(given - exact, kind="stable")[: free - int(given.sum())]:
        given[index] += 1
    return [int(share) + _LEAST_SHOTS for share in given]
