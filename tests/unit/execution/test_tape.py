import math

import pytest
from qiskit import QuantumCircuit

from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm
from services.execution.programs.tape import Branch, tape_of

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def test_tape_numbers_the_active_qubits_and_leaves_barriers_out():
    program = parse_openqasm(
        V2 + "qreg q[9]; creg c[2]; rz(-pi/2) q[7]; barrier q; cx q[7], q[3]; measure q[3] -> c[1];", Limits()
    )
    assert program.tape.active == (3, 7)
    assert program.tape.steps == (
        ("rz", (1,), (-math.pi / 2,), ()),
        ("cx", (1, 0), (), ()),
        ("measure", (0,), (), (1,)),
    )
    assert program.features.active_qubits == program.tape.width == 2


def test_tape_can_keep_idle_qubits():
    circuit = QuantumCircuit(3)
    circuit.h(2)
    assert tape_of(circuit, with_idle=True).steps == (("h", (2,), (), ()),)
    assert tape_of(circuit).steps == (("h", (0,), (), ()),)


def test_tape_holds_the_blocks_of_control_flow_in_its_own_numbers():
    source = "qubit[4] q; bit[2] c; h q[1]; c[0] = measure q[1]; if (c[0] == 1) { x q[3]; } else { s q[1]; }"
    tape = parse_openqasm(V3 + source, Limits()).tape
    assert tape.active == (1, 3)
    assert tape.branches
    branch = tape.steps[-1]
    assert isinstance(branch, Branch)
    assert branch.blocks == ((("x", (1,), (), ()),), (("s", (0,), (), ()),))


@pytest.mark.parametrize("statement", ["x q[0];", "x q[0] ;", "x  q[0];", "rz(pi/4) q[0];", "measure q[0] -> c[0];"])
def test_operations_are_counted_however_they_are_written(statement: str):
    head = V2 + "qreg q[1]; creg c[1];"
    assert parse_openqasm(head + statement * 40, Limits(operations=41)).tape.steps
    with pytest.raises(ProgramError) as caught:
        parse_openqasm(head + statement * 40, Limits(operations=39))
    assert caught.value.reason == "TOO_MANY_OPERATIONS"


def test_a_user_gate_called_on_single_bits_costs_what_it_is_made_of():
    source = V2 + "gate pair a, b { h a; cx a, b; } qreg q[2]; " + "pair q[0],q[1];\n" * 10
    with pytest.raises(ProgramError) as caught:
        parse_openqasm(source, Limits(operations=25))
    assert caught.value.reason == "TOO_MANY_OPERATIONS"
    assert parse_openqasm(source, Limits(operations=40)).features.gate_count == 20


@pytest.mark.parametrize(
    "source",
    [
        V2 + "qreg q[1]; creg c[1024]; " + "if(c==1) x q[0];" * 800,
        V3 + "qubit q; bit[1024] c; " + "if (c == 1) { x q; } " * 800,
        V3 + "qubit q; bit[1024] c; for int i in [1:800] { if (c == 1) { x q; } }",
    ],
)
def test_branches_on_a_wide_register_count_for_what_they_take(source: str):
    with pytest.raises(ProgramError) as caught:
        parse_openqasm(source, Limits())
    assert caught.value.reason == "TOO_MANY_OPERATIONS"
    narrow = source.replace("1024", "2").replace("800", "8")
    assert parse_openqasm(narrow, Limits()).tape.branches


def test_a_program_may_be_a_thousand_qubits_wide():
    program = parse_openqasm(V2 + "qreg q[1024]; creg c[1024]; h q[0]; cx q[0], q[1023]; measure q -> c;", Limits())
    assert program.features.active_qubits == 1024
    with pytest.raises(ProgramError, match="at most 1024"):
        parse_openqasm(V2 + "qreg q[1025]; x q[0];", Limits())
