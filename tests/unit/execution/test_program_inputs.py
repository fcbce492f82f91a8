import math

import pytest
from qiskit.quantum_info import Operator

from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_circuit, parse_openqasm

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
ROTATION = HEAD + "input float[64] theta; input angle phi; qubit[2] q; rx(theta / 2) q[0]; rz(-phi) q[0];"


def parsed(source: str, **inputs: float):
    return parse_openqasm(source, Limits(), inputs)


def test_an_input_is_bound_to_the_value_that_is_sent():
    bound, _ = parse_circuit(ROTATION, Limits(), {"theta": 0.5, "phi": 1})
    written, _ = parse_circuit(HEAD + "qubit[2] q; rx(0.25) q[0]; rz(-1.0) q[0];", Limits())
    assert Operator(bound).equiv(Operator(written))


def test_one_text_takes_other_inputs_each_time():
    angles = [parsed(ROTATION, theta=theta, phi=0).circuit.data[0].params[0] for theta in (0.1, 0.2, 0.1)]
    assert angles == pytest.approx([0.05, 0.1, 0.05])


def test_an_input_can_be_a_size_a_bound_and_a_condition_of_the_program():
    source = HEAD + "input uint n; input bool flip; qubit[n] q; for int i in [0:n-1] { h q[i]; } if (flip) { x q[0]; }"
    features = parsed(source, n=5, flip=1).features
    assert (features.num_qubits, features.gates) == (5, {"h": 5, "measure": 5, "x": 1})
    assert parsed(source, n=2, flip=0).features.gates == {"h": 2, "measure": 2}


def test_an_angle_that_makes_the_gates_clifford_is_seen():
    source = HEAD + "input float a; qubit q; rz(a) q;"
    assert parsed(source, a=math.pi / 2).features.clifford
    assert not parsed(source, a=0.3).features.clifford


@pytest.mark.parametrize(
    ("source", "inputs", "reason", "field"),
    [
        (HEAD + "input float x; qubit q; rx(x) q;", {}, "UNBOUND_INPUT", "qasm"),
        (HEAD + "input float x; qubit q; rx(x) q;", {"x": 1, "y": 2}, "UNKNOWN_INPUT", "inputs"),
        (HEAD + "qubit q; h q;", {"x": 1}, "UNKNOWN_INPUT", "inputs"),
        ('OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; h q[0];', {"x": 1}, "UNKNOWN_INPUT", "inputs"),
        (HEAD + "input int n; qubit[n] q;", {"n": 1.5}, "WRONG_INPUT", "qasm"),
        (HEAD + "input uint n; qubit[n] q;", {"n": -1}, "WRONG_INPUT", "qasm"),
        (HEAD + "input bool b; qubit q;", {"b": 2}, "WRONG_INPUT", "qasm"),
        (HEAD + "input bit[4] b; qubit q;", {"b": 2}, "UNSUPPORTED", "qasm"),
        (HEAD + "input int n; qubit[n] q;", {"n": 10**9}, "TOO_MANY_QUBITS", "qasm"),
        (HEAD + "input int n; qubit q; for int i in [0:n] { h q; }", {"n": 10**12}, "TOO_MANY_OPERATIONS", "qasm"),
        (HEAD + "input int n; qubit q; rz(2 ** n) q;", {"n": 10**9}, "UNSUPPORTED", "qasm"),
    ],
)
def test_what_cannot_be_bound_is_refused(source: str, inputs: dict[str, float], reason: str, field: str):
    with pytest.raises(ProgramError) as refused:
        parsed(source, **inputs)
    assert (refused.value.reason, refused.value.field) == (reason, field)
