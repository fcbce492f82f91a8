"""A calibration snapshot: what a machine's maker published of its wiring and errors on one day. One format for all.

Numbers are those of the source. None means that the source does not say, and the twin then adds no such error.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Span = Annotated[float, msgspec.Meta(ge=0)]
Index = Annotated[int, msgspec.Meta(ge=0)]

CONTROL_FLOW = frozenset({"if_else", "for_loop", "while_loop", "switch_case"})


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the numbers come from."""

    title: str
    """A package with its version, or a publication."""
    url: str
    licence: str
    basis: Literal["calibration", "averages", "model"]
    """Measured for each qubit and gate; one average for all of a kind; or made up after no particular machine."""
    notes: tuple[str, ...] = ()


class Qubit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One qubit."""

    t1_us: Span | None = None
    t2_us: Span | None = None
    frequency_ghz: Span | None = None
    readout_error: Rate | None = None
    """The probability of a wrong bit, averaged over both states."""
    p10: Rate | None = None
    """The probability to read 1 where the state was 0."""
    p01: Rate | None = None
    """The probability to read 0 where the state was 1."""
    readout_ns: Span | None = None


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One gate, by Qiskit's name, wherever the machine has it.

    `places` are tuples of qubits, each in the order of the gate's own; "all" stands for every qubit, or every ordered
    pair of qubits, by `width`. `error` is 1 - average gate fidelity, one for each place, or one for all.
    """

    name: str
    width: Literal[1, 2]
    places: tuple[tuple[Index, ...], ...] | Literal["all"] = "all"
    error: tuple[Rate | None, ...] | Rate | None = None
    duration_ns: tuple[Span | None, ...] | Span | None = None

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        for column in (self.error, self.duration_ns):
            if isinstance(column, tuple) and (self.places == "all" or len(column) != len(self.places)):
                raise ValueError(f"gate {self.name}: a column needs one number for each place")
        if self.places != "all" and any(len(place) != self.width for place in self.places):
            raise ValueError(f"gate {self.name}: every place needs {self.width} qubits")


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine as it was calibrated on a day."""

    format: Literal["qmumma.calibration/v1"] = "qmumma.calibration/v1"
    calibration_id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_.-]*@\d{4}-\d{2}-\d{2}$", max_length=64)]
    """The device and the day: "ibm_marrakesh@2025-02-26"."""
    device: str
    display_name: str
    vendor: str
    date: dt.date
    source: Source
    qubit_count: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    qubits: tuple[Qubit, ...]
    gates: tuple[Gate, ...]
    control_flow: tuple[str, ...] = ()
    """The kinds of control flow that it takes, by Qiskit's names."""
    dt_ns: Span | None = None
    """The unit of time of its delays."""

    def __post_init__(self) -> None:
        """Refuse a snapshot that contradicts itself."""
        if self.calibration_id != f"{self.device}@{self.date.isoformat()}":
            raise ValueError(f"{self.calibration_id}: the id is the device and the date")
        if len(self.qubits) != self.qubit_count:
            raise ValueError(f"{self.calibration_id}: {len(self.qubits)} qubits described of {self.qubit_count}")
        if unknown := set(self.control_flow) - CONTROL_FLOW:
            raise ValueError(f"{self.calibration_id}: unknown control flow {', '.join(sorted(unknown))}")
        for gate in self.gates:
            if gate.places != "all" and any(max(place) >= self.qubit_count for place in gate.places):
                raise ValueError(f"{self.calibration_id}: gate {gate.name} on a qubit that is not there")

    def rates(self, gate: Gate) -> dict[tuple[int, ...], tuple[float | None, float | None]]:
        """The error and the duration, in ns, of a gate of this snapshot at each of its places."""
        places = self.places(gate)
        errors = gate.error if isinstance(gate.error, tuple) else (gate.error,) * len(places)
        durations = gate.duration_ns if isinstance(gate.duration_ns, tuple) else (gate.duration_ns,) * len(places)
        return dict(zip(places, zip(errors, durations, strict=True), strict=True))

    def places(self, gate: Gate) -> tuple[tuple[int, ...], ...]:
        """Where the machine has a gate."""
        if gate.places != "all":
            return gate.places
        every = range(self.qubit_count)
        if gate.width == 1:
            return tuple((qubit,) for qubit in every)
        return tuple((first, second) for first in every for second in every if first != second)


def decode(payload: bytes) -> Snapshot:
    """A snapshot from JSON. Raises msgspec.ValidationError."""
    return msgspec.json.decode(payload, type=Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """A snapshot as JSON, in one line."""
    return msgspec.json.format(msgspec.json.encode(snapshot), indent=0)
