"""A circuit as execution tells it is the circuit as routing reads it."""

from __future__ import annotations

import json

import pytest

from services.execution.algorithms.algorithm import CircuitDescriber
from services.execution.algorithms.facts import BUILTIN_CATALOGUE
from services.execution.algorithms.listing import Algorithm, load_catalogue
from services.execution.algorithms.openqasm import OpenQasmDescriber
from services.execution.programs.encoding import MOST_STEPS, encode
from services.execution.programs.tape import Tape
from services.routing.prediction import circuit as routing

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
PROGRAM = HEAD + "qubit[4] q; bit[2] c; h q[1]; rz(0.25) q[1]; cx q[1], q[3]; c[0] = measure q[1]; c[1] = measure q[3];"


def told(source: str) -> bytes:
    return encode(OpenQasmDescriber().described({"qasm": source})[1])


def test_what_execution_writes_is_what_routing_writes_and_reads():
    _, tape = OpenQasmDescriber().described({"qasm": PROGRAM})
    assert told(PROGRAM) == routing.encode(tape.width, tape.num_clbits, tape.operations())
    structure, angles = routing.parse(told(PROGRAM)).decoded()
    assert (structure.qubit_count, structure.clbit_count, angles) == (2, 2, (0.25,))
    assert [step[0] for step in structure.steps] == ["h", "rz", "cx", "measure", "measure"]


def test_a_circuit_that_branches_or_is_very_long_is_not_told():
    branching = HEAD + "qubit[1] q; bit[1] c; c[0] = measure q[0]; if (c == 1) { x q[0]; } c[0] = measure q[0];"
    assert told(branching) == b""
    long = Tape((("x", (0,), (), ()),) * (MOST_STEPS + 1), (0,), 1, 1)
    assert encode(long) == b""


@pytest.mark.parametrize("algorithm", list(load_catalogue().values()), ids=lambda each: str(each.id))
def test_an_algorithm_shows_its_circuit_as_it_measures_it(algorithm: Algorithm):
    example = json.loads((BUILTIN_CATALOGUE / algorithm.id / "example.json").read_text("utf-8"))
    describer, parameters = algorithm.facts.load_describer(), algorithm.checked(example["request"])
    if algorithm.id == "vqe.molecular.v2":  # what its describer knows of a molecule is a table
        assert not isinstance(describer, CircuitDescriber)
        return
    assert isinstance(describer, CircuitDescriber)
    features, tape = describer.described(parameters)
    structure, _ = routing.parse(encode(tape)).decoded()
    assert describer.features(parameters) == features
    assert structure.qubit_count == features.active_qubits
    assert structure.size.two_qubit_gate_count <= features.two_qubit_gate_count
    assert structure.read_at_the_end


def test_barriers_are_told_where_they_stand_on_the_qubits_that_are_used():
    source = HEAD + "qubit[3] q; bit[1] c; x q[0]; barrier q; x q[2]; barrier q[1]; c[0] = measure q[2];"
    structure, _ = routing.parse(told(source)).decoded()
    assert [step[:2] for step in structure.steps] == [
        ("x", (0,)),
        ("barrier", (0, 1)),
        ("x", (1,)),
        ("measure", (1,)),
    ]
    assert structure.read_at_the_end
    assert structure.size.depth == 2
