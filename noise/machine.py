"""What of a machine's calibration the noise of a circuit is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Qubit(Protocol):
    """One qubit; None is what the calibration does not say."""

    @property
    def t1_us(self) -> float | None:
        """The time in which |1> relaxes."""

    @property
    def t2_us(self) -> float | None:
        """The time in which |+> dephases."""

    @property
    def readout_error(self) -> float | None:
        """The probability to read it wrongly."""


class Machine(Protocol):
    """A machine whose qubits are numbered as in the circuits that are fitted to it."""

    @property
    def qubits(self) -> Sequence[Qubit]:
        """All of them."""

    @property
    def dt_ns(self) -> float | None:
        """The unit of its delays."""

    def rate(self, name: str, place: tuple[int, ...]) -> tuple[float | None, float | None]:
        """The error (1 - average fidelity) and the seconds of a gate at some qubits."""
