"""Snapshots: one format, every one of them valid, and what routing knows is what they say."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from services.execution.twins import ibm, index
from services.execution.twins.device import working_qubits
from services.execution.twins.shelf import FOLDER, UnknownDeviceError, devices, snapshot
from services.execution.twins.snapshot import Gate, Qubit, Snapshot, Source, decode, encode

SOURCE = Source(title="a test", url="https://example.org", licence="Apache-2.0", basis="model")


def made(**changes: Any) -> Snapshot:
    known: dict[str, Any] = {
        "calibration_id": "line@2026-01-02",
        "device": "line",
        "display_name": "Line",
        "vendor": "Nobody",
        "date": dt.date(2026, 1, 2),
        "source": SOURCE,
        "qubit_count": 3,
        "qubits": (Qubit(), Qubit(readout_error=0.1), Qubit()),
        "gates": (Gate(name="sx", width=1, error=0.01), Gate(name="cz", width=2, places=((0, 1), (1, 2)))),
    }
    return Snapshot(**known | changes)


def test_every_snapshot_is_valid_and_survives_the_format():
    assert len(ibm.folders()) == 68
    for device in devices():
        each = snapshot(device)
        assert each.device == device
        assert each.source.licence
        assert decode(encode(each)) == each
        assert 1 <= len(working_qubits(each)) <= each.qubit_count


def test_snapshots_in_the_folder_are_named_by_their_devices():
    for path in FOLDER.glob("*.json"):
        assert decode(path.read_bytes()).device == path.stem


def test_what_routing_knows_is_what_the_snapshots_say():
    assert index.encoded() == index.INDEX.read_bytes(), "run python -m services.execution.twins.index"
    found = {path.name: path.read_bytes() for path in index.CALIBRATIONS.iterdir()}
    assert index.calibrations() == found, "run python -m services.execution.twins.index"


def test_marrakesh_is_as_its_calibration_says():
    marrakesh = snapshot("ibm_marrakesh")
    assert marrakesh.calibration_id == "ibm_marrakesh@2025-02-26"
    assert marrakesh.qubit_count == 156
    assert marrakesh.qubits[0].t1_us == pytest.approx(365.55, abs=0.01)
    assert marrakesh.qubits[0].readout_error == 0.01123046875
    assert marrakesh.control_flow == ("for_loop", "if_else", "switch_case")
    gates = {gate.name: marrakesh.rates(gate) for gate in marrakesh.gates}
    assert gates["cz"][72, 73] == (0.08468831979069169, 68.0)
    assert gates["rz"][0,] == (0.0, 0.0)


def test_an_unknown_device_is_refused():
    with pytest.raises(UnknownDeviceError, match="no calibration of ibm_atlantis"):
        snapshot("ibm_atlantis")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calibration_id": "line@2026-01-03"}, "the device and the date"),
        ({"qubits": (Qubit(),)}, "1 qubits described of 3"),
        ({"control_flow": ("goto",)}, "unknown control flow goto"),
        ({"gates": (Gate(name="cz", width=2, places=((0, 3),)),)}, "a qubit that is not there"),
    ],
)
def test_a_snapshot_that_contradicts_itself_is_refused(changes: dict[str, Any], words: str):
    with pytest.raises(msgspec.ValidationError, match=words):
        decode(encode_raw(made(), changes))


def encode_raw(whole: Snapshot, changes: dict[str, Any]) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(whole) | msgspec.to_builtins(changes))


def test_a_gate_needs_a_number_for_each_place():
    with pytest.raises(ValueError, match="one number for each place"):
        Gate(name="cz", width=2, places=((0, 1), (1, 2)), error=(0.1,))


def test_one_number_holds_for_every_place():
    snapshot = made()
    assert snapshot.rates(snapshot.gates[0]) == {(0,): (0.01, None), (1,): (0.01, None), (2,): (0.01, None)}
    assert len(snapshot.places(Gate(name="rzz", width=2))) == 6


def test_a_failed_gate_cuts_the_machine_and_a_failed_qubit_is_left_out():
    cut = Gate(name="cz", width=2, places=((0, 1), (1, 2)), error=(1.0, 0.01))
    assert working_qubits(made(gates=(cut,))) == (1, 2)
    failed = Gate(name="sx", width=1, places=((0,), (1,), (2,)), error=(0.1, 0.1, 1.0))
    assert working_qubits(made(gates=(failed, made().gates[1]))) == (0, 1)
