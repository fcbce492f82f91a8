"""The calibrations of machines, with their history: snapshots by id, of which the newest counts. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from services.routing.catalogue import Calibration, Catalogue


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How well a machine did on a day."""

    backend_id: str
    medians: Calibration
    measure_time: dt.datetime
    source: str
    create_time: dt.datetime | None = None
    """When it was kept here; None where it is not yet."""

    @property
    def calibration_id(self) -> str:
        """Its name."""
        return self.medians.calibration_id

    def says(self, other: Snapshot) -> bool:
        """Whether both are the same measurement."""
        return (self.backend_id, self.medians, self.measure_time) == (
            other.backend_id,
            other.medians,
            other.measure_time,
        )


def shipped(catalogue: Catalogue) -> list[Snapshot]:
    """The snapshots that the twins simulate; the day is in their ids."""
    return [
        Snapshot(backend.backend_id, known, day_of(known.calibration_id), backend.description)
        for backend in catalogue.backends
        if (known := backend.calibration) is not None
    ]


def newest(snapshots: Iterable[Snapshot], catalogue: Catalogue) -> dict[str, Calibration]:
    """The newest calibration of each machine that has a newer one than its twin simulates."""
    own = {each.backend_id: each for each in shipped(catalogue)}
    last: dict[str, Snapshot] = dict(own)
    for each in snapshots:
        if each.backend_id not in last or each.measure_time > last[each.backend_id].measure_time:
            last[each.backend_id] = each
    return {name: each.medians for name, each in last.items() if each is not own.get(name)}


def day_of(calibration_id: str) -> dt.datetime:
    """The day in the id of a snapshot that ships."""
    day = calibration_id.rpartition("@")[2]
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
