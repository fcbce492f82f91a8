"""How well machines did: the snapshots of their calibrations, of which a live machine is judged by the newest."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from qm.routing.v1 import routing_pb2 as pb
from qm.routing.v1.routing_pb2_grpc import RoutingServiceStub

from deploy.admin.command import Command, Shown, Thing, argument
from deploy.admin.output import time
from deploy.admin.session import Session
from mesh.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub


class Snapshot(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A snapshot in a file, as `calibrations show --json` writes it. Errors are medians over what worked, 0 to 1."""

    calibration_id: str
    backend: str
    measured_at: dt.datetime
    working_qubits: int
    single_qubit_error: float
    two_qubit_error: float
    readout_error: float
    source: str = ""
    kept_at: str = ""
    """Ours to say; ignored."""


async def _list(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.ListCalibrationsRequest(backend_id=given.backend, page_size=given.limit)
    return [_thing(each) for each in (await _routing(session).ListCalibrations(request)).calibrations]


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.ListCalibrationsRequest(calibration_id=given.calibration)
    for found in (await _routing(session).ListCalibrations(request)).calibrations:
        return _thing(found)
    message = f"There is no calibration {given.calibration!r}; `calibrations list BACKEND` has their ids."
    raise NotFound(message, reason="CALIBRATION_NOT_FOUND")


async def _add(session: Session, given: argparse.Namespace) -> Shown:
    snapshot = read(given.file)
    calibration = pb.Calibration(
        calibration_id=snapshot.calibration_id,
        backend_id=snapshot.backend,
        source=snapshot.source,
        working_qubit_count=snapshot.working_qubits,
        single_qubit_error=snapshot.single_qubit_error,
        two_qubit_error=snapshot.two_qubit_error,
        readout_error=snapshot.readout_error,
    )
    calibration.measure_time.FromDatetime(snapshot.measured_at)
    kept = await _routing(session).AddCalibration(pb.AddCalibrationRequest(calibration=calibration))
    return _thing(kept.calibration)


def read(file: Path) -> Snapshot:
    """The snapshot in a file. Raises InvalidArgument, with the member that is wrong."""
    try:
        snapshot = msgspec.json.decode(file.read_bytes(), type=Snapshot)
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror}", reason="UNREADABLE_FILE") from None
    except msgspec.ValidationError as error:
        message = f"{file}: {error}. `calibrations show ID --json` has the members that are wanted."
        raise InvalidArgument(message, reason="NO_CALIBRATION") from None
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"{file} is not JSON: {error}", reason="NO_CALIBRATION") from None
    if snapshot.measured_at.tzinfo is None:
        message = f"{file}: measured_at has no time zone; write 2026-11-20T06:00:00Z"
        raise InvalidArgument(message, reason="NO_CALIBRATION")
    if not -(2**31) <= snapshot.working_qubits < 2**31:
        raise InvalidArgument(f"{file}: working_qubits is out of range", reason="NO_CALIBRATION")
    return snapshot


def _routing(session: Session) -> RoutingServiceAsyncStub:
    return RoutingServiceStub(session.channel("routing"))


def _thing(calibration: pb.Calibration) -> Thing:
    return {
        "calibration_id": calibration.calibration_id,
        "backend": calibration.backend_id,
        "measured_at": calibration.measure_time.ToJsonString(),
        "working_qubits": calibration.working_qubit_count,
        "single_qubit_error": calibration.single_qubit_error,
        "two_qubit_error": calibration.two_qubit_error,
        "readout_error": calibration.readout_error,
        "source": calibration.source,
        "kept_at": time(calibration.create_time),
    }


COMMANDS = (
    Command(
        group="calibrations",
        name="list",
        summary="list the snapshots of a machine's calibration, the last measured first",
        run=_list,
        arguments=(
            argument("backend", "the backend's id; all without it", nargs="?", default=""),
            argument("--limit", "at most as many (100)", type=int, default=100),
        ),
        examples=("calibrations list ibm_fez",),
    ),
    Command(
        group="calibrations",
        name="show",
        summary="one snapshot",
        run=_show,
        arguments=(argument("calibration", "its id"),),
        examples=("calibrations show ibm_fez@2025-02-26 --json",),
    ),
    Command(
        group="calibrations",
        name="add",
        summary="keep a snapshot from a file; the last measured counts for the live machine from then on",
        run=_add,
        arguments=(argument("file", "JSON, as `calibrations show ID --json` writes it", type=Path),),
        examples=("calibrations add ibm_fez.json",),
    ),
)
