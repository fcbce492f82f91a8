"""What errs where a circuit runs on a machine: all that prediction keeps of a fitted circuit."""

from __future__ import annotations

import math

import msgspec

MOST_ERROR = 0.999_999


class UnfitError(Exception):
    """The machine has no means for the circuit."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit as it was fitted to a machine.

    A loss is a sum of -log(1 - e) over gates, e the probability of a Pauli error: exp(-loss) is that none happens.
    """

    pair_loss: float
    """Of errors on both qubits of a gate: what its reported error has beyond relaxation."""
    single_loss: float
    """Of errors on one qubit: those of gates on one, and the relaxation while any gate takes its time."""
    readout_errors: tuple[float, ...]
    """The probability to read each measured qubit of the program wrongly, in the order of `Structure.measured`."""
    depth: int
    two_qubit_gate_count: int
    seconds: float
    """One shot, from the first gate to the last reading, as the calibration says."""
    places: tuple[tuple[tuple[int, ...], float], ...] = ()
    """The share of each place in all losses (exposure.py), the largest first; none where it was not fitted."""

    @property
    def gate_loss(self) -> float:
        """Of all gates."""
        return self.pair_loss + self.single_loss

    @property
    def readout_loss(self) -> float:
        """The same sum over the readings."""
        return sum(map(loss_of, self.readout_errors))


def loss_of(error: float) -> float:
    """-log(1 - error), for an error of 0 to 1."""
    return -math.log1p(-min(error, MOST_ERROR))
