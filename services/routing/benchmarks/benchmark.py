"""Benchmarks: what is measured where, and whose turn it is. Pure."""

from __future__ import annotations

import datetime as dt
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NewType

from services.routing.benchmarks.family import FAMILIES, SHOTS
from services.routing.catalogue import Backend, BackendId, Kind, Method
from services.routing.learning.outcome import Outcome

BenchmarkId = NewType("BenchmarkId", str)
FRESH = dt.timedelta(days=14)
"""A measurement that is younger is not repeated."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured over and over: a family at a width on a backend."""

    backend_id: BackendId
    family: str
    qubit_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One measurement of a cell, planned or made."""

    benchmark_id: BenchmarkId
    cell: Cell
    seed: int
    depth: int
    two_qubit_gate_count: int
    shot_count: int
    create_time: dt.datetime

    @classmethod
    def of(cls, cell: Cell, benchmark_id: BenchmarkId, seed: int, now: dt.datetime) -> Benchmark:
        """Plan a measurement with the circuit of a seed."""
        circuit = FAMILIES[cell.family].circuit(cell.qubit_count, seed)
        return cls(
            benchmark_id=benchmark_id,
            cell=cell,
            seed=seed,
            depth=circuit.depth,
            two_qubit_gate_count=circuit.two_qubit_gate_count,
            shot_count=SHOTS,
            create_time=now,
        )

    @property
    def openqasm(self) -> str:
        """The circuit."""
        return FAMILIES[self.cell.family].circuit(self.cell.qubit_count, self.seed).openqasm


@dataclass(frozen=True, slots=True)
class Measurement:
    """A benchmark that was run."""

    benchmark: Benchmark
    outcome: Outcome


def cells_of(backends: Iterable[Backend]) -> list[Cell]:
    """What is to be measured: every family and width that fits, on every twin and on the state vector simulator.

    A machine itself is never measured unasked: that costs its owner money.
    """
    return [
        Cell(backend.backend_id, family.name, width)
        for backend in backends
        if backend.online and _is_measured(backend)
        for family in FAMILIES.values()
        for width in family.widths
        if width <= _widest(backend)
    ]


def next_cell(cells: Iterable[Cell], planned: Mapping[Cell, dt.datetime], now: dt.datetime) -> Cell | None:
    """The cell whose turn it is, by when each was last planned; None while all are fresh.

    Those never measured come first, and of them those of the backend with the fewest measurements; then the oldest.
    """
    counts = Counter(cell.backend_id for cell in planned)
    due = [cell for cell in cells if cell not in planned or now - planned[cell] >= FRESH]

    def turn(cell: Cell) -> tuple[bool, float, int, int]:
        seen = cell in planned
        age = -(now - planned[cell]).total_seconds() if seen else 0.0
        shuffled = zlib.crc32(f"{cell.backend_id}/{cell.family}/{cell.qubit_count}".encode())
        return (seen, age, counts[cell.backend_id], shuffled)

    return min(due, key=turn, default=None)


def _is_measured(backend: Backend) -> bool:
    return backend.kind is Kind.TWIN or (backend.kind is Kind.SIMULATOR and backend.method is Method.STATEVECTOR)


def _widest(backend: Backend) -> int:
    return backend.qubit_count if backend.calibration is None else backend.calibration.working_qubit_count
