import pickle
import random
import time

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, Statevector
from qiskit.synthesis import synth_qft_full

from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm, program_features
from services.execution.programs.prescan import scan
from services.execution.programs.program import Program

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def parse(source: str) -> Program:
    return parse_openqasm(source, Limits())


def unitary(program: Program) -> Operator:
    bare = program.circuit.copy()
    bare.remove_final_measurements()
    return Operator(bare)


def names(program: Program) -> list[str]:
    return [item.name for item in program.circuit.data]


def test_version_2_circuit_is_parsed_with_its_features():
    program = parse(V2 + "qreg q[3]; creg c[2]; h q[0]; cx q[0], q[1]; measure q[0] -> c[0]; measure q[1] -> c[1];")
    features = program.features
    assert (program.version, program.registers, program.notes) == ("2.0", (("c", 2),), ())
    assert (features.num_qubits, features.active_qubits, features.num_clbits) == (3, 2, 2)
    assert (features.depth, features.gate_count, features.two_qubit_gate_count, features.measurement_count) == (
        3,
        2,
        1,
        2,
    )
    assert features.clifford
    assert not features.dynamic
    assert features.gates == {"cx": 1, "h": 1, "measure": 2}


def test_features_and_errors_cross_a_process_boundary():
    features = program_features(V2 + "qreg q[1]; t q[0];", Limits())
    assert pickle.loads(pickle.dumps(features)) == features  # noqa: S301
    error = ProgramError("SYNTAX_ERROR", "unexpected", 3, 7)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.reason, copy.message, copy.line, copy.column, str(copy)) == (
        "SYNTAX_ERROR",
        "unexpected",
        3,
        7,
        "line 3, column 7: unexpected",
    )


def test_circuit_without_measurement_is_measured_whole_and_says_so():
    program = parse(V2 + "qreg q[2]; creg idle[5]; h q[0];")
    assert program.registers == (("meas", 2),)
    assert program.features.measurement_count == 2
    assert "measures nothing" in program.notes[0]


@pytest.mark.parametrize(
    ("source", "line", "column", "part"),
    [
        (V2 + "qreg q[2];\n  foo q[0];", 4, 3, "'foo'"),
        (V2 + "qreg q[2]\nh q[0];", 4, 1, "';'"),
        (V2 + "qreg q[2];\ncx q[0], q[7];", 4, 12, "out-of-range"),
        (V3 + "qubit[2] q;\n h q[0 ;", 4, 8, "';'"),
        (V3 + "qubit[2] q;\n  foo q[0];", 4, 3, "'foo'"),
        (V3 + "qubit[2] q;\nh q[5];", 4, 5, "out of range"),
        (V3 + "qubit[2] q;\ncx q[0], q[0];", 4, 1, "duplicate"),
        (V2 + "qreg q[1];\nh q[0]; ?", 4, 9, "?"),
        (V3 + "qubit q;\nh q; `", 4, 6, "`"),
    ],
)
def test_syntax_error_names_line_and_column(source: str, line: int, column: int, part: str):
    with pytest.raises(ProgramError) as caught:
        parse(source)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert part in caught.value.message


def doubling(version: str, count: int, register: str) -> str:
    gates = ["gate g0 a { x a; x a; }", *(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, count))]
    return version + "\n".join([*gates, register, f"g{count - 1} q[0];"])


HOSTILE = {
    "register of a billion qubits": (V2 + "qreg q[1000000000];", "TOO_MANY_QUBITS"),
    "many registers": (V2 + "".join(f"qreg q{i}[200];" for i in range(9)), "TOO_MANY_QUBITS"),
    "register of a billion bits": (V2 + "qreg q[1]; creg c[1000000000];", "TOO_MANY_CLBITS"),
    "register of a billion, version 3": (V3 + "qubit[1000000000] q;", "TOO_MANY_QUBITS"),
    "register by arithmetic": (V3 + "qubit[2**40] q;", "TOO_MANY_QUBITS"),
    "register by constant": (V3 + "const int n = 1 << 40; bit[n] c; qubit q;", "TOO_MANY_CLBITS"),
    "physical qubit": (V3 + "h $1000000000;", "TOO_MANY_QUBITS"),
    "gate bomb": (doubling(V2, 40, "qreg q[1];"), "TOO_MANY_OPERATIONS"),
    "gate bomb, version 3": (doubling(V3, 40, "qubit[1] q;"), "TOO_MANY_OPERATIONS"),
    "bomb of empty gates": (doubling(V2, 40, "qreg q[1];").replace("{ x a; x a; }", "{ }"), "TOO_MANY_OPERATIONS"),
    "bomb of empty gates, version 3": (
        doubling(V3, 40, "qubit[1] q;").replace("{ x a; x a; }", "{ }"),
        "TOO_MANY_OPERATIONS",
    ),
    "formula bomb": (
        V3
        + "gate g0(a) q { rx(a) q; }"
        + "".join(f"gate g{i}(a) q {{ g{i - 1}(a*a + 1) q; }}" for i in range(1, 40))
        + "qubit q; g39(1) q;",
        "TOO_DEEP",
    ),
    "broadcast bomb": (V2 + "qreg q[256];" + "h q;" * 400, "TOO_MANY_OPERATIONS"),
    "long chain of gates": (
        V2 + "gate g0 a { x a; }" + "".join(f"gate g{i} a {{ g{i - 1} a; }}" for i in range(1, 5_000)) + "qreg q[1];",
        "TOO_DEEP",
    ),
    "counted loop": (V3 + "qubit[1] q;\nfor int i in [0:1000000000000] { h q[0]; }", "TOO_MANY_OPERATIONS"),
    "empty counted loop": (V3 + "qubit[1] q;\nfor int i in [0:1000000000000] { }", "TOO_MANY_OPERATIONS"),
    "nested loops": (
        V3 + "qubit q;" + "for int i in [1:100] {" * 4 + "x q;" + "}" * 4,
        "TOO_MANY_OPERATIONS",
    ),
    "loop that does not step": (V3 + "qubit q; for int i in [0:0:5] { h q; }", "ENDLESS_LOOP"),
    "while true": (V3 + "qubit q; while (true) { h q; }", "ENDLESS_LOOP"),
    "while nothing changes": (V3 + "qubit q; bit c; while (c == 0) { h q; }", "ENDLESS_LOOP"),
    "number bomb": (V3 + "qubit q; rx(2**(10**9)) q;", "UNSUPPORTED"),
    "integer past 64 bits": (V2 + "qreg q[99999999999999999999];", "SYNTAX_ERROR"),
    "brackets": (V2 + "qreg q[1]; rx(" + "(" * 200 + "1" + ")" * 200 + ") q[0];", "TOO_DEEP"),
    "signs": (V2 + "qreg q[1]; rx(" + "-" * 4_000 + "1) q[0];", "TOO_DEEP"),
    "long sum": (V3 + "qubit q; rx(" + "1+" * 250 + "1) q;", "TOO_DEEP"),
    "deep blocks": (V3 + "qubit q; bit c;" + "if (c) {" * 200 + "x q;" + "}" * 200, "TOO_DEEP"),
    "controls": (V3 + "qubit q; " + "ctrl @ " * 300 + "x q;", "UNSUPPORTED"),
    "wide power": (
        V3 + "gate w a, b, c, d, e, f, g { h a; } qubit[7] q; pow(3) @ w q[0], q[1], q[2], q[3], q[4], q[5], q[6];",
        "UNSUPPORTED",
    ),
    "long source": (V2 + "qreg q[1];\n" + "h q[0];\n" * 400_000, "SOURCE_TOO_LONG"),
    "long source, version 3": (V3 + "qubit q;\n" + "inv @ h q;\n" * 10_000, "SOURCE_TOO_LONG"),
    "file include": ('OPENQASM 2.0; include "/etc/passwd"; qreg q[1];', "INCLUDE_REFUSED"),
    "file include, version 3": ('OPENQASM 3.0; include "../secret.inc"; qubit q;', "INCLUDE_REFUSED"),
    "other version": ("OPENQASM 4.0; qubit q;", "UNSUPPORTED_VERSION"),
    "no version": ("qreg q[1]; h q[0];", "UNSUPPORTED_VERSION"),
    "nothing": ("", "UNSUPPORTED_VERSION"),
    "no qubits": (V2 + "creg c[1];", "NO_QUBITS"),
    "unbound input": (V3 + "input float x; qubit q; rx(x) q;", "UNBOUND_INPUT"),
    "infinite angle": (V2 + "qreg q[1]; rx(1e999) q[0];", "UNSUPPORTED"),
    "opaque gate": (V2 + "opaque magic a; qreg q[1]; magic q[0];", "UNSUPPORTED"),
    "half a surrogate": (V2 + "qreg q[1]; // \ud800", "SYNTAX_ERROR"),
    "zero byte": (V2 + "qreg q[1];\0", "SYNTAX_ERROR"),
    "subroutine": (V3 + "def f(qubit a) { f(a); } qubit q; f(q);", "UNSUPPORTED"),
    "builtin gate without its angles": (V2 + "qreg q[1]; U q[0];", "SYNTAX_ERROR"),
    "division by a parameter that is zero": (
        V2 + "gate g(a) x { rx(1/a) x; } qreg q[1]; g(0) q[0];",
        "UNSUPPORTED",
    ),
    "unfinished": ("OPENQASM 2.0; gate g a { qreg q[", "SYNTAX_ERROR"),
}


@pytest.mark.parametrize(("source", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_program_is_refused_quickly_with_its_reason(source: str, reason: str):
    started = time.process_time()
    with pytest.raises(ProgramError) as caught:
        parse(source)
    assert caught.value.reason == reason
    assert len(caught.value.message) <= 300
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("statement", "told"),
    [("end;", "an end statement cannot be run here"), ("def f() { }", "a subroutine definition cannot be run here")],
)
def test_what_cannot_be_run_is_told_with_its_article(statement: str, told: str):
    with pytest.raises(ProgramError, match=told):
        parse(f"{V3}qubit q; {statement}")


def test_random_damage_never_raises_anything_but_a_program_error():
    rng = random.Random(7)  # no secret, only damage
    good = [
        V2 + "qreg q[2]; creg c[2]; gate g(a) x { rx(a/2) x; } g(pi) q[0]; if (c==1) x q[1]; measure q -> c;",
        V3
        + "const int n = 2; qubit[n] q; bit[n] c; for int i in [0:1] { h q[i]; } c = measure q; if (c[0]) { x q[1]; }",
    ]
    for _ in range(300):
        text = list(rng.choice(good))
        for _ in range(rng.randrange(1, 5)):
            place = rng.randrange(len(text))
            text[place : place + rng.randrange(3)] = rng.choice('(){}[];,+-*/@0123abqπ"$=! \n')
        try:
            parse("".join(text))
        except ProgramError as error:
            assert error.message  # noqa: PT017  # most of the damaged programs are refused, some still mean something


@pytest.mark.parametrize("seed", range(6))
def test_version_2_text_of_a_random_circuit_keeps_its_unitary(seed: int):
    circuit = random_circuit(4, 6, max_operands=3, seed=seed)
    assert Operator(circuit).equiv(unitary(parse(qasm2.dumps(circuit))))


@pytest.mark.parametrize("seed", range(4))
def test_version_3_text_of_a_random_circuit_keeps_its_unitary(seed: int):
    circuit = random_circuit(3, 4, max_operands=3, seed=seed)
    assert Operator(circuit).equiv(unitary(parse(qasm3.dumps(circuit))))


def test_library_composite_is_expanded_to_standard_gates():
    circuit = QuantumCircuit(4)
    circuit.append(synth_qft_full(4).to_gate(), range(4))
    program = parse(qasm2.dumps(circuit))
    assert Operator(circuit).equiv(unitary(program))


def test_gate_parameters_bind_in_their_order_and_not_the_alphabet():
    program = parse(V3 + "gate g(b, a) q { rx(b) q; ry(a) q; } qubit q; g(0.1, 0.2) q;")
    assert [(item.name, float(item.params[0])) for item in program.circuit.data[:2]] == [("rx", 0.1), ("ry", 0.2)]


def test_unused_gate_parameter_does_not_shift_the_others():
    program = parse(V3 + "gate g(z, unused, a) q { rx(z) q; ry(a) q; } qubit q; g(0.1, 9, 0.2) q;")
    assert [float(item.params[0]) for item in program.circuit.data[:2]] == [0.1, 0.2]


def test_own_gate_under_a_library_name_keeps_its_own_meaning():
    source = V2 + "gate ryy(t) a, b { cx a, b; rz(t) b; } qreg q[2]; ryy(0.3) q[0], q[1];"
    assert names(parse(source))[:2] == ["cx", "rz"]


def test_own_gate_under_a_standard_name_keeps_its_own_meaning_in_version_3():
    assert names(parse("OPENQASM 3.0; gate h a { U(0, 0, 0.5) a; } qubit q; h q;"))[0] == "u"


def test_aer_gates_beyond_qelib1_load_without_definition():
    program = parse(V2 + "qreg q[4]; sx q[0]; p(0.1) q[0]; rzx(0.2) q[0],q[1]; csx q[0],q[1]; c3x q[0],q[1],q[2],q[3];")
    reference = QuantumCircuit(4)
    reference.sx(0)
    reference.p(0.1, 0)
    reference.rzx(0.2, 0, 1)
    reference.csx(0, 1)
    reference.mcx([0, 1, 2], 3)
    assert Operator(reference).equiv(unitary(program))


def test_loop_variable_indexes_and_computes():
    source = (
        "const int n = 3; qubit[n] q; for int i in [0:n - 1] { rx(i * pi / 2) q[i]; } for int j in {2, 0} { x q[j]; }"
    )
    program = parse(V3 + source)
    assert [item.name for item in program.circuit.data if item.name == "rx"] == ["rx"] * 3
    places = [program.circuit.find_bit(item.qubits[0]).index for item in program.circuit.data if item.name == "x"]
    assert places == [2, 0]
    assert not program.features.dynamic


def test_modifiers_keep_their_unitary():
    program = parse(
        V3 + "qubit[3] q; ctrl @ rx(0.3) q[0], q[1]; negctrl @ x q[1], q[2]; pow(0.5) @ z q[0]; inv @ t q[1];"
    )
    reference = QuantumCircuit(3)
    reference.crx(0.3, 0, 1)
    reference.cx(1, 2, ctrl_state=0)
    reference.s(0)
    reference.tdg(1)
    assert Operator(reference).equiv(unitary(program))


def test_constant_condition_is_decided_before_running():
    program = parse(V3 + "const int n = 3; qubit q; if (n > 2) { x q; } else { y q; }")
    assert names(program)[0] == "x"


@pytest.mark.parametrize(
    ("source", "clifford"),
    [
        ("rz(pi/2) q[0]; rx(-pi/2) q[0]; u(pi/2, 0, pi) q[0]; cp(pi) q[0], q[1]; rzz(pi/2) q[0], q[1];", True),
        ("rz(pi/4) q[0];", False),
        ("t q[0];", False),
        ("cp(pi/2) q[0], q[1];", False),
        ("ccx q[0], q[1], q[2];", False),
    ],
)
def test_clifford_is_told_by_angles_too(source: str, *, clifford: bool):
    assert parse(V2 + "qreg q[3];" + source).features.clifford is clifford


@pytest.mark.parametrize(
    ("source", "dynamic"),
    [
        ("measure q[0] -> c[0]; measure q[1] -> c[1];", False),
        ("measure q[0] -> c[0]; h q[1]; measure q[1] -> c[1];", False),
        ("measure q[0] -> c[0]; h q[0];", True),
        ("reset q[0]; measure q -> c;", True),
        ("if (c == 1) x q[0]; measure q -> c;", True),
    ],
)
def test_dynamic_means_what_a_final_sampling_cannot_do(source: str, *, dynamic: bool):
    assert parse(V2 + "qreg q[2]; creg c[2];" + source).features.dynamic is dynamic


@pytest.mark.parametrize("seed", range(5))
def test_cut_bound_holds_for_the_schmidt_rank(seed: int):
    circuit = random_circuit(5, 3, max_operands=2, seed=seed)
    program = parse(qasm2.dumps(circuit))
    bare = program.circuit.remove_final_measurements(inplace=False)
    state = Statevector(bare)
    for cut in range(1, 5):
        values = np.linalg.svd(state.data.reshape(2 ** (5 - cut), 2**cut), compute_uv=False)
        assert (values > 1e-9).sum() <= 2**program.features.cut_rank_bits


def test_depth_is_that_of_qiskit_for_a_static_circuit():
    circuit = random_circuit(4, 5, max_operands=2, seed=3, measure=True)
    program = parse(qasm2.dumps(circuit))
    assert program.features.depth == program.circuit.depth()


def test_lone_bits_and_registers_stand_in_declared_order():
    program = parse(V3 + "qubit[2] q; bit a; bit[2] b; bit d; a = measure q[0]; b = measure q; d = measure q[1];")
    assert [size for _, size in program.registers] == [1, 2, 1]


def test_register_split_by_alias_is_still_one_register():
    program = parse(V3 + "qubit[2] q; bit[3] c; let low = c[0:1]; low = measure q; if (low == 2) { x q[0]; }")
    assert program.registers == (("c", 3),)


@pytest.mark.parametrize("number", ["0.25", ".25", "1.", "3", "2.5e-3", ".5E2", "-.5", "pi/2"])
def test_a_gate_is_read_at_once_however_its_numbers_are_written(number: str):
    source = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nu3({number},0,0) q[0];\ncx q[0], q[1];\n'
    calls = [token.text for token in scan(source, Limits()).tokens if token.kind == "call"]
    assert calls == ["u3", "cx"]
    assert parse_openqasm(source, Limits(), {}).features.gate_count == 2
