"""Whose turn it is to be measured."""

from __future__ import annotations

import datetime as dt

from mesh.config import load
from services.routing.benchmarks.benchmark import FRESH, Benchmark, BenchmarkId, Cell, cells_of, next_cell
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind
from services.routing.twin import with_twins

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
CATALOGUE = with_twins(load(CATALOGUE_FILE, Catalogue))
CELLS = cells_of(CATALOGUE.backends)


def test_every_twin_that_is_wide_enough_is_measured_and_no_machine():
    measured = {cell.backend_id for cell in CELLS}
    wide_enough = {each.backend_id for each in CATALOGUE.backends if each.kind is Kind.TWIN and each.qubit_count >= 4}
    assert measured == wide_enough | {"sim.statevector"}
    for cell in CELLS:
        backend = CATALOGUE.find(cell.backend_id)
        assert backend is not None
        assert cell.qubit_count <= backend.qubit_count


def test_every_cell_has_its_turn_and_backends_advance_together():
    planned: dict[Cell, dt.datetime] = {}
    counts: dict[str, int] = {}
    backends = len({cell.backend_id for cell in CELLS})
    for number in range(3 * backends):
        cell = next_cell(CELLS, planned, NOW + dt.timedelta(minutes=number))
        assert cell is not None
        planned[cell] = NOW + dt.timedelta(minutes=number)
        counts[cell.backend_id] = counts.get(cell.backend_id, 0) + 1
    assert set(counts.values()) == {3}


def test_what_is_fresh_is_not_repeated_and_the_oldest_comes_first():
    planned = dict.fromkeys(CELLS, NOW - FRESH / 2)
    assert next_cell(CELLS, planned, NOW) is None
    planned[CELLS[5]] = NOW - FRESH
    planned[CELLS[9]] = NOW - 2 * FRESH
    assert next_cell(CELLS, planned, NOW) == CELLS[9]


def test_a_benchmark_remembers_its_circuit_by_its_seed():
    cell = Cell("ibm_fez", "mirror", 4)
    made = Benchmark.of(cell, BenchmarkId("b"), 7, NOW)
    again = Benchmark.of(cell, BenchmarkId("b"), 7, NOW)
    assert made.openqasm == again.openqasm
    assert made.openqasm.startswith("OPENQASM 2.0;")
    assert made.depth > 4
