"""What prediction needs of a machine's calibration: its wiring, and how often each place errs.

The files are written by services/execution/twins/index.py from execution's snapshots, one for each calibration, named
by its id. Their numbers are those of the source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from services.routing.prediction.profile import loss_of

CALIBRATIONS = Path(__file__).parents[1] / "calibrations"
FAILED = 1
"""The error that a calibration gives to a gate which had failed."""

Place = tuple[int, ...]


class UnknownCalibrationError(LookupError):
    """There is no calibration of that id."""


class Qubit(msgspec.Struct, frozen=True, kw_only=True):
    """One qubit; None is what the source does not say."""

    t1_us: float | None = None
    t2_us: float | None = None
    readout_error: float | None = None
    readout_ns: float | None = None

    def kept(self, seconds: float) -> float:
        """The process fidelity of waiting: (1 + exp(-t/T1) + 2 exp(-t/T2)) / 4, with T2 at most 2 T1."""
        t1 = self.t1_us * 1e-6 if self.t1_us else math.inf
        t2 = min(self.t2_us * 1e-6 if self.t2_us else math.inf, 2 * t1)
        return (1 + math.exp(-seconds / t1) + 2 * math.exp(-seconds / t2)) / 4


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate wherever the machine has it: a number for each place, or one for all (see execution's `Gate`)."""

    name: str
    width: Literal[1, 2]
    places: tuple[Place, ...] | Literal["all"] = "all"
    error: tuple[float | None, ...] | float | None = None
    duration_ns: tuple[float | None, ...] | float | None = None


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """What is reported of a gate at a place: 1 - average gate fidelity, and seconds."""

    error: float | None
    seconds: float | None


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it was calibrated on a day."""

    calibration_id: str
    vendor: str
    qubit_count: int
    working: tuple[int, ...]
    """The qubits that hang together without what had failed, ascending: those that a program may use."""
    qubits: tuple[Qubit, ...]
    gates: tuple[Gate, ...]
    control_flow: tuple[str, ...] = ()
    dt_ns: float | None = None

    @property
    def uniform(self) -> bool:
        """Whether one qubit is as good as another: every pair has the gates, and all places the same errors."""
        alike = all(gate.places == "all" and not isinstance(gate.error, tuple) for gate in self.gates)
        return alike and len(set(self.qubits)) == 1

    def rates(self, gate: Gate) -> Iterator[tuple[Place, Rate]]:
        """What is reported of a gate, place by place."""
        places = _everywhere(gate.width, self.qubit_count) if gate.places == "all" else gate.places
        count = len(places)
        errors = gate.error if isinstance(gate.error, tuple) else (gate.error,) * count
        spans = gate.duration_ns if isinstance(gate.duration_ns, tuple) else (gate.duration_ns,) * count
        for place, error, span in zip(places, errors, spans, strict=True):
            yield place, Rate(error, None if span is None else span * 1e-9)

    def losses(self, place: Place, rate: Rate) -> tuple[float, float]:
        """What a gate adds to the losses of a profile: of its own errors, and of relaxation while it takes.

        Relaxation alone keeps the process fidelity r, the product over the qubits, and so an average fidelity of
        f = (d r + 1) / (d + 1), d the dimension. What the reported average fidelity 1 - e lacks beyond that is a
        depolarising channel of the probability s = d (f - (1 - e)) / (d f - 1), which is a Pauli error in s (1 - 1/d^2)
        of all runs: the model of the twins (noise/channel.py), and of qiskit-aer.
        """
        kept = math.prod(self.qubits[qubit].kept(rate.seconds) for qubit in place) if rate.seconds else 1.0
        dimension = 1 << len(place)
        relaxed = (dimension * kept + 1) / (dimension + 1)
        lost = min(rate.error or 0.0, dimension / (dimension + 1))
        beyond = relaxed - (1 - lost)
        share = dimension * beyond / (dimension * relaxed - 1) if beyond > 0 else 0.0
        return loss_of(share * (1 - dimension**-2)), loss_of(1 - kept)


def read(folder: Path, calibration_id: str) -> Calibration:
    """A calibration by its id. Raises UnknownCalibrationError, and msgspec.ValidationError for a broken file."""
    path = folder / f"{calibration_id}.json"
    if path.parent != folder or not path.is_file():
        raise UnknownCalibrationError(f"there is no calibration {calibration_id}")
    return msgspec.json.decode(path.read_bytes(), type=Calibration)


def _everywhere(width: int, qubit_count: int) -> tuple[Place, ...]:
    every = range(qubit_count)
    if width == 1:
        return tuple((qubit,) for qubit in every)
    return tuple((first, second) for first in every for second in every if first != second)
