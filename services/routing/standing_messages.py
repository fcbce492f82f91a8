"""Reports, calibrations and suppliers as protobuf messages, and the other way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from qm.routing.v1 import routing_pb2 as pb

from services.routing.catalogue import Calibration, Kind
from services.routing.history import Snapshot
from services.routing.messages import KINDS
from services.routing.standing import Report
from services.routing.supplier import Supplier, Target

_ONLINE = {pb.BACKEND_STATUS_ONLINE: True, pb.BACKEND_STATUS_OFFLINE: False}


def report_of(message: pb.BackendReport, now: dt.datetime) -> Report:
    """What somebody says of a backend now."""
    said = message.HasField
    return Report(
        time=now,
        queue_depth=message.queue_depth if said("queue_depth") else None,
        team_depths={each.team_id: each.depth for each in message.team_depths},
        queue_seconds=message.queue_duration.ToTimedelta().total_seconds() if said("queue_duration") else None,
        online=_ONLINE.get(message.status),
        reason=message.reason,
        task_price=message.task_price.micros if said("task_price") else None,
        shot_price=message.shot_price.micros if said("shot_price") else None,
    )


def snapshot_of(message: pb.Calibration) -> Snapshot:
    """A snapshot that is to be kept."""
    medians = Calibration(
        calibration_id=message.calibration_id,
        working_qubit_count=message.working_qubit_count,
        single_qubit_error=message.single_qubit_error,
        two_qubit_error=message.two_qubit_error,
        readout_error=message.readout_error,
        operations=frozenset(),
    )
    return Snapshot(message.backend_id, medians, message.measure_time.ToDatetime(dt.UTC), message.source)


def calibration_message(snapshot: Snapshot) -> pb.Calibration:
    """A snapshot on the wire."""
    medians = snapshot.medians
    message = pb.Calibration(
        calibration_id=medians.calibration_id,
        backend_id=snapshot.backend_id,
        source=snapshot.source,
        working_qubit_count=medians.working_qubit_count,
        single_qubit_error=medians.single_qubit_error,
        two_qubit_error=medians.two_qubit_error,
        readout_error=medians.readout_error,
    )
    message.measure_time.FromDatetime(snapshot.measure_time)
    if snapshot.create_time is not None:
        message.create_time.FromDatetime(snapshot.create_time)
    return message


def supplier_message(supplier: Supplier, modes: Mapping[str, Kind]) -> pb.Supplier:
    """A supplier on the wire; `modes` says what runs here now."""
    return pb.Supplier(
        supplier_id=supplier.supplier_id,
        display_name=supplier.display_name,
        description=supplier.description,
        providers=[
            pb.Provider(
                provider_id=each.provider_id,
                display_name=each.display_name,
                description=each.description,
                qubit_count=each.qubit_count,
                cost_model=each.cost_model,
                targets=[_target_message(target, modes) for target in each.targets],
            )
            for each in supplier.providers
        ],
    )


def _target_message(target: Target, modes: Mapping[str, Kind]) -> pb.Target:
    mode = modes.get(target.backend_id or "")
    return pb.Target(
        target_id=target.target_id,
        backend_id=target.backend_id or "",
        qubit_count=target.qubit_count,
        mode=KINDS[mode] if mode else pb.BACKEND_KIND_UNSPECIFIED,
    )
