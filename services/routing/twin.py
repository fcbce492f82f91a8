"""The twins: backends that simulate a machine from a snapshot of its calibration. The rows are data, in twins.json.

The file is written by services/execution/twins/index.py from the snapshots themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from mesh.config import ConfigError
from services.routing.catalogue import (
    TWIN_SUFFIX,
    Backend,
    BackendId,
    Calibration,
    Catalogue,
    Error,
    Kind,
    Method,
    Pool,
)

TWINS_FILE = Path(__file__).with_name("twins.json")
PRICE_MICROS = 0
"""What a job pays for a twin on top of the algorithm's price: nothing, as for any simulation. The number is ours."""

_BASIS = {
    "calibration": "the calibration of {date}, for each qubit and gate",
    "averages": "average error rates published by {date}, the same for all qubits and gates of a kind",
    "model": "error rates made up after no particular machine, of {date}",
}


class Twin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of the index."""

    device: BackendId
    display_name: str
    vendor: str
    calibration_id: str
    source: str
    basis: Literal["calibration", "averages", "model"]
    qubit_count: int
    working_qubit_count: int
    single_qubit_error: Error
    two_qubit_error: Error
    readout_error: Error
    operations: frozenset[str]

    @property
    def backend(self) -> Backend:
        """The twin as a backend, under the device's own id."""
        basis = _BASIS[self.basis].format(date=self.calibration_id.partition("@")[2])
        return Backend(
            backend_id=self.device,
            display_name=f"{self.display_name}{TWIN_SUFFIX}",
            description=f"Simulates {self.display_name} with the noise of {basis} ({self.source}).",
            kind=Kind.TWIN,
            online=True,
            method=Method.CALIBRATED_NOISE,
            pool=Pool.SIM,
            price_micros=PRICE_MICROS,
            qubit_count=self.qubit_count,
            calibration=Calibration(
                calibration_id=self.calibration_id,
                working_qubit_count=self.working_qubit_count,
                single_qubit_error=self.single_qubit_error,
                two_qubit_error=self.two_qubit_error,
                readout_error=self.readout_error,
                operations=self.operations,
            ),
        )


def with_twins(catalogue: Catalogue, path: Path = TWINS_FILE) -> Catalogue:
    """A catalogue with the twins of an index after its own backends.

    A machine of the catalogue that has a twin is offered as that twin, and keeps its place and its provider. Raises
    ConfigError for a twin without a calibration, whose jobs no worker could run; OSError and msgspec.ValidationError
    where the index cannot be read.
    """
    rows = msgspec.json.decode(path.read_bytes(), type=list[Twin])
    twins = {row.device: row.backend for row in rows}
    own = tuple(
        msgspec.structs.replace(twins.pop(backend.backend_id), machine=backend.machine)
        if backend.machine is not None and backend.backend_id in twins
        else backend
        for backend in catalogue.backends
    )
    for backend in own:
        if backend.kind is Kind.TWIN and backend.calibration is None:
            message = f"backend {backend.backend_id}: there is no calibration that a worker could simulate"
            raise ConfigError(f"{message}; see {path.name}")
    return msgspec.structs.replace(catalogue, backends=own + tuple(twins.values()))
