"""The snapshots that there are, one for each device: IBM's from its package, the others from the folder beside."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from services.execution.twins import ibm
from services.execution.twins.snapshot import Snapshot, decode

FOLDER = Path(__file__).with_name("snapshots")
_KEPT = 8
"""Snapshots that stay in memory, about 1 MB each."""


class UnknownDeviceError(LookupError):
    """No snapshot has that name."""


@cache
def devices() -> tuple[str, ...]:
    """The devices that have a snapshot, in the order of their names."""
    return tuple(sorted({*ibm.folders(), *(path.stem for path in FOLDER.glob("*.json"))}))


@lru_cache(_KEPT)
def snapshot(device: str) -> Snapshot:
    """The snapshot of a device. Raises UnknownDeviceError."""
    if device not in devices():
        raise UnknownDeviceError(f"there is no calibration of {device}")
    if device in ibm.folders():
        return ibm.read(device)
    return decode((FOLDER / f"{device}.json").read_bytes())
