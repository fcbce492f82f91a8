"""Circuits as bytes."""

from __future__ import annotations

import pytest

from services.routing.prediction.circuit import Size, encode, parse
from tests.unit.routing.prediction.circuits import encoded, ghz, rotations


def test_a_circuit_comes_back_as_it_went():
    structure, angles = parse(encoded(2, [("rzz", (1, 0), (0.5,), ()), ("u", (1,), (0.1, 0.2, 0.3), ())])).decoded()
    assert structure.steps[:2] == (("rzz", (1, 0), (), 1), ("u", (1,), (), 3))
    assert angles == (0.5, 0.1, 0.2, 0.3)
    assert structure.size == Size(2, 1, 1, 2, 3)
    assert structure.measured == (0, 1)


def test_circuits_that_differ_in_angles_alone_share_their_structure():
    one, other = parse(rotations(3, 0.1)), parse(rotations(3, 0.2))
    assert one.structure_key == other.structure_key != parse(ghz(3)).structure_key
    assert one.key != other.key
    assert one.key == parse(rotations(3, 0.1)).key


def test_a_gate_on_a_qubit_that_is_not_there_or_twice_on_one_is_refused():
    for qubits in ((0, 2), (1, 1), ()):
        with pytest.raises(ValueError, match="acts on qubits"):
            parse(encode(2, 0, [("cx", qubits, (), ())])).decoded()


def test_angles_that_no_gate_takes_are_refused():
    known = parse(rotations(2, 0.1))
    with pytest.raises(ValueError, match="number of angles"):
        type(known)(known.encoded, known.structure, known.angles[:-8]).decoded()


def test_reading_midway_and_resets_are_told_from_reading_at_the_end():
    def at_the_end(*steps: tuple[str, tuple[int, ...], tuple[float, ...], tuple[int, ...]]) -> bool:
        return parse(encode(2, 2, steps)).decoded()[0].read_at_the_end

    read = ("measure", (0,), (), (0,))
    assert at_the_end(("h", (0,), (), ()), read, ("h", (1,), (), ()))
    assert not at_the_end(read, ("x", (0,), (), ()))
    assert not at_the_end(("reset", (0,), (), ()), read)
    assert not at_the_end(read, read)
    assert not at_the_end(("h", (0,), (), ()))
