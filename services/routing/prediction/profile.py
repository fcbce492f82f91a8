"""What errs where a circuit runs on a machine: all that prediction keeps of a fitted circuit."""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec


class UnfitError(Exception):
    """The machine has no means for the circuit."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit as it was fitted to a machine.

    A loss is the sum of -log(1 - error) over gates, with the error of each no less than what relaxation does while it
    takes: exp(-loss) is the probability that none of them errs.
    """

    MOST_ERROR: ClassVar[float] = 0.999_999

    single_loss: float
    """Of the gates on one qubit."""
    pair_loss: float
    """Of the gates on two."""
    readout_errors: tuple[float, ...]
    """The probability to read each measured qubit of the program wrongly, in the order of `Structure.measured`."""
    depth: int
    two_qubit_gate_count: int
    seconds: float
    """One shot, from the first gate to the last reading, as the calibration says."""

    @property
    def gate_fidelity(self) -> float:
        """The probability that no gate errs."""
        return math.exp(-self.single_loss - self.pair_loss)

    @property
    def readout_loss(self) -> float:
        """The sum of -log(1 - error) over the readings."""
        return -sum(math.log1p(-min(error, self.MOST_ERROR)) for error in self.readout_errors)
