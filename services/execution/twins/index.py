"""Writes what routing knows of the twins: python -m services.execution.twins.index

Routing imports nothing of execution; it reads services/routing/twins.json, and for its predictions the calibrations in
services/routing/calibrations. A test tells when they are out of date.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec

from services.execution.twins.device import working_qubits
from services.execution.twins.shelf import devices, snapshot
from services.execution.twins.snapshot import Gate, Qubit, Snapshot

INDEX = Path(__file__).parents[2] / "routing" / "twins.json"
CALIBRATIONS = Path(__file__).parents[2] / "routing" / "calibrations"
LEFT_OUT = {
    "ibm_cairo": "some pairs have a cx one way, others an ecr: the transpiler cannot turn such a cx round",
    "ibm_fractional": "describes no machine",
    "ibm_kyoto": "every two-qubit gate had failed on the day of its snapshot",
}
_DIGITS = 6


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What routing knows of one twin (services/routing/twin.py); errors are medians over the working places."""

    device: str
    display_name: str
    vendor: str
    calibration_id: str
    source: str
    basis: str
    qubit_count: int
    working_qubit_count: int
    single_qubit_error: float
    two_qubit_error: float
    readout_error: float
    operations: tuple[str, ...]
    """Of reset and control flow, what it can do."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What routing predicts from (services/routing/prediction/calibration.py): a snapshot without its source."""

    calibration_id: str
    vendor: str
    qubit_count: int
    working: tuple[int, ...]
    """The qubits that a program may use (see `device.CalibratedDevice`)."""
    qubits: tuple[Qubit, ...]
    gates: tuple[Gate, ...]
    control_flow: tuple[str, ...] = ()
    dt_ns: float | None = None


def calibration(snapshot: Snapshot) -> Calibration:
    """What routing needs of a snapshot."""
    return Calibration(
        calibration_id=snapshot.calibration_id,
        vendor=snapshot.vendor,
        qubit_count=snapshot.qubit_count,
        working=working_qubits(snapshot),
        qubits=snapshot.qubits,
        gates=snapshot.gates,
        control_flow=snapshot.control_flow,
        dt_ns=snapshot.dt_ns,
    )


def calibrations() -> dict[str, bytes]:
    """The calibrations of all twins that are offered, as JSON by the names of their files."""
    made = [calibration(snapshot(device)) for device in devices() if device not in LEFT_OUT]
    return {f"{each.calibration_id}.json": msgspec.json.encode(each) for each in made}


def row(snapshot: Snapshot) -> Row:
    """The facts of one snapshot."""
    working = set(working_qubits(snapshot))
    errors: dict[int, list[float]] = {1: [], 2: []}
    for gate in snapshot.gates:
        for place, (error, _) in snapshot.rates(gate).items():
            # Virtual gates have no error, and are free; what had failed is not used.
            if error and error != 1 and set(place) <= working:
                errors[gate.width].append(error)
    readout = [error for qubit in working if (error := snapshot.qubits[qubit].readout_error)]
    resets = {"reset"} & {gate.name for gate in snapshot.gates}
    return Row(
        device=snapshot.device,
        display_name=snapshot.display_name,
        vendor=snapshot.vendor,
        calibration_id=snapshot.calibration_id,
        source=snapshot.source.title,
        basis=snapshot.source.basis,
        qubit_count=snapshot.qubit_count,
        working_qubit_count=len(working),
        single_qubit_error=_median(errors[1]),
        two_qubit_error=_median(errors[2]),
        readout_error=_median(readout),
        operations=tuple(sorted(resets.union(snapshot.control_flow))),
    )


def rows() -> list[Row]:
    """The facts of every twin that is offered: the newest calibrations first, then the most qubits."""
    made = [row(snapshot(device)) for device in devices() if device not in LEFT_OUT]
    return sorted(made, key=lambda each: (each.calibration_id.partition("@")[2][:4], each.qubit_count), reverse=True)


def encoded() -> bytes:
    """The index, one twin a line."""
    lines = b",\n".join(msgspec.json.encode(each) for each in rows())
    return b"[\n" + lines + b"\n]\n"


def _median(values: list[float]) -> float:
    return round(median(values), _DIGITS) if values else 0.0


if __name__ == "__main__":
    INDEX.write_bytes(encoded())
    CALIBRATIONS.mkdir(exist_ok=True)
    for file in CALIBRATIONS.iterdir():
        file.unlink()
    for name, content in calibrations().items():
        (CALIBRATIONS / name).write_bytes(content)
