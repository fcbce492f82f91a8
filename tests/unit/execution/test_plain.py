"""A plain program, read without a parser, is what the parsers make of it."""

import pickle
import time
from dataclasses import fields
from itertools import product
from random import Random

import pytest
from qiskit import QuantumCircuit

from services.execution.programs.circuit import plain_program, program_of
from services.execution.programs.errors import ProgramError
from services.execution.programs.library import LIBRARY
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_circuit, parse_openqasm
from services.execution.programs.program import Program, Version
from services.execution.programs.reserved import RESERVED
from services.execution.programs.tape import tape_of

HEADS: dict[Version, str] = {
    "2.0": 'OPENQASM 2.0;\ninclude "qelib1.inc";\n',
    "3.0": 'OPENQASM 3.0;\ninclude "stdgates.inc";\n',
}
LIMITS = Limits()
NUMBERS = ("0", "1", "-2", "0.25", ".5", "3.", "1e-3", "-7.5E+2", "2.718281828459045", "0.00012345678901234567")
BLANKS = (" ", " ", " ", "\n", "\t", "  ", "\r\n", " // note; x q[0];\n")
TERMS = ("pi", "2", "3", "0.5", "7", "1e1")


def parsed(source: str, limits: Limits = LIMITS) -> Program:
    """By the parsers alone."""
    circuit, version = parse_circuit(source, limits)
    return program_of(circuit, limits, version=version)


def assert_alike(found: Program, source: str) -> None:
    expected = parsed(source)
    for field in fields(Program):
        if field.name != "made":
            assert getattr(found, field.name) == getattr(expected, field.name), field.name
    assert tape_of(found.circuit) == found.tape
    assert bare(found.circuit) == bare(expected.circuit)


def bare(circuit: QuantumCircuit) -> QuantumCircuit:
    """Without barriers: a plain program knows nothing of those on qubits that it does not use."""
    kept = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name != "barrier":
            kept.append(item)
    return kept


def angle(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(NUMBERS)
    if rng.random() < 0.5:
        return repr(rng.uniform(-7, 7))
    rest = [rng.choice(("", " ")) + rng.choice("+-*/") + rng.choice(TERMS) for _ in range(rng.randrange(4))]
    return rng.choice(("", "-")) + rng.choice(TERMS) + "".join(rest)


def written(rng: Random, version: Version) -> str:
    """Mostly plain programs with blanks, comments and all kinds of statements; some are not plain, or wrong."""
    width, bits, other = (rng.randint(1, 4) for _ in range(3))
    entries = [f"q[{place}]" for place in range(width)] + [f"r[{place}]" for place in range(other)]
    cells = [f"c[{place}]" for place in range(bits)]
    if version == "2.0":
        lines = [f"qreg q[{width}]", f"creg c[{bits}]", f"qreg r[{other}]"]
    else:
        lines = [f"qubit[{width}] q", f"bit[{bits}] c", f"qubit[{other}] r", "qubit lone", "bit flag"]
        entries.append("lone")
        cells.append("flag")
    rng.shuffle(lines)
    lines += [statement(rng, version, entries, cells) for _ in range(rng.randrange(12))]
    return HEADS[version] + "".join(f"{line};{rng.choice(BLANKS)}" for line in lines) + "\n"


def statement(rng: Random, version: Version, qubits: list[str], cells: list[str]) -> str:
    gap, kind = rng.choice(BLANKS), rng.randrange(12)
    if kind == 0:
        source, target = rng.choice([("q", "c"), ("r", "c"), *[(rng.choice(qubits), rng.choice(cells))] * 4])
        arrow = version == "2.0" or rng.random() < 0.5
        return f"measure {source} ->{gap}{target}" if arrow else f"{target} ={gap}measure {source}"
    if kind == 1:
        return f"reset{gap}{rng.choice([*qubits, 'q', 'r'])}"
    if kind == 2:
        return f"barrier{gap}{', '.join(rng.sample([*qubits, 'q', 'r'], rng.randint(1, 2)))}"
    if kind == 3:
        return rng.choice(["h q", "h r", "cx q,r", "cz r, q", "x q[4]", "if (c == 1) x q[0]", "ccx q,r,q"])
    name = rng.choice(sorted(LIBRARY[version]))
    gate = LIBRARY[version][name]
    values = ",".join(angle(rng) for _ in range(gate.angles))
    places = rng.choices(qubits, k=gate.qubits) if rng.random() < 0.1 else rng.sample([*qubits, "q[0]"], gate.qubits)
    return f"{name}{f'({values})' if values else ''}{gap}{f',{gap}'.join(places)}"


def damaged(rng: Random, text: str) -> str:
    letters = list(text)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(36, len(letters))
        letters[place : place + rng.randrange(3)] = rng.choice('(){}[];,+-*/@0123abqcrxhp i\n\t\r\v"=!>_.')
    return "".join(letters)


def check(source: str) -> bool:
    found = plain_program(source, LIMITS)
    if found is not None:
        assert_alike(found, source)
    return found is not None


@pytest.mark.parametrize(("version", "count"), [("2.0", 250), ("3.0", 30)])
def test_a_plain_program_is_what_the_parser_makes_of_it(version: Version, count: int):
    rng = Random(11)
    plain = sum(check(written(rng, version)) for _ in range(count))
    assert count / 3 < plain < count


@pytest.mark.parametrize(("version", "count"), [("2.0", 600), ("3.0", 150)])
def test_a_damaged_program_that_is_still_read_without_a_parser_is_what_the_parser_makes_of_it(
    version: Version, count: int
):
    rng = Random(12)
    read = [check(damaged(rng, written(rng, version))) for _ in range(count)]
    assert any(read)


@pytest.mark.parametrize("version", HEADS)
def test_every_library_gate_is_what_the_parser_makes_of_it(version: Version):
    declaration = "qreg q[3]; " if version == "2.0" else "qubit[3] q; "
    calls = []
    for place, (name, gate) in enumerate(LIBRARY[version].items()):
        values = ", ".join(f"{0.1 + place + 0.3 * angle}" for angle in range(gate.angles))
        calls.append(f"{name}{f'({values})' if values else ''} {', '.join(f'q[{bit}]' for bit in range(gate.qubits))};")
    source = HEADS[version] + declaration + "\n".join(calls)
    assert check(source)
    cost = len(parsed(source).tape.steps) - 3 + sum(gate.composite for gate in LIBRARY[version].values())
    assert plain_program(source, Limits(operations=cost)) is not None
    parsed(source, Limits(operations=cost))
    assert plain_program(source, Limits(operations=cost - 1)) is None
    with pytest.raises(ProgramError, match="operations"):
        parsed(source, Limits(operations=cost - 1))


@pytest.mark.parametrize(
    "source",
    [
        HEADS["2.0"] + "qreg q[2]; creg c[2]; h q[0]; if (c == 1) x q[0]; measure q -> c;",
        HEADS["2.0"] + "gate g a { h a; } qreg q[2]; g q[0];",
        HEADS["2.0"] + "qreg q[2]; rx(2^3) q[0];",
        HEADS["2.0"] + "qreg q[2]; rx(sin(1)) q[0];",
        HEADS["2.0"] + "qreg q[2]; /* no comment of version 2 */ x q[0];",
        HEADS["2.0"] + "qreg q[2]; // ends where\rits x q[0];\n x q[1];",
        HEADS["2.0"] + "qreg q[2]; x q[0]; // no end",
        HEADS["2.0"] + "qreg q[2]; x q[0]",
        HEADS["2.0"] + "qreg x[2]; x x[0];",
        HEADS["2.0"] + "qreg q[2]; x q[00];",
        HEADS["2.0"] + "qreg q[2]; rx(1_0) q[0];",
        HEADS["2.0"] + "qreg q[2]; rx(nan) q[0];",
        HEADS["2.0"] + "qreg q[2]; rx(1/0) q[0];",
        HEADS["2.0"] + "qreg q[2]; x q[0];\x0b",
        HEADS["2.0"] + "qreg q[2]; U() q[0];",
        "OPENQASM 2.0; qreg q[2]; CX q[0], q[1];",
        HEADS["3.0"] + "qubit[2] q; inv @ x q[0];",
        HEADS["3.0"] + "qubit[2] q; x q[-1];",
        HEADS["3.0"] + "qubit[2] q; measure q;",
        HEADS["3.0"] + "const int n = 2; qubit[n] q; x q[0];",
        HEADS["3.0"] + "qubit[2] q; for int i in [0:1] { x q[i]; }",
        HEADS["3.0"] + "qubit[2] q; bit[2] c = measure q;",
    ],
)
def test_what_is_not_plain_is_left_to_the_parsers(source: str):
    assert plain_program(source, LIMITS) is None


def test_registers_named_as_gates_and_keywords_of_either_version_are_left_to_the_parsers():
    for word in sorted(RESERVED):
        for version, declaration in (("2.0", f"qreg {word}[1];"), ("3.0", f"qubit {word};")):
            assert plain_program(f"{HEADS[version]}{declaration} h {word};", LIMITS) is None


def test_a_plain_program_without_measurements_is_measured_into_a_register_of_a_free_name():
    assert parse_openqasm(HEADS["2.0"] + "qreg meas[2]; x meas[0];", LIMITS).registers == (("meas_all", 2),)


def test_a_plain_program_survives_a_process_boundary():
    program = plain_program(HEADS["3.0"] + "qubit[2] q; bit c; h q[1]; barrier q; c = measure q[1];", LIMITS)
    assert program is not None
    copy = pickle.loads(pickle.dumps(program))  # noqa: S301
    assert copy.circuit == program.circuit
    assert copy.registers == (("bit0", 1),)


def test_a_long_plain_program_is_read_in_either_version():
    gates = "".join(
        f"rx({place / 7}) q[{place % 9}];\ncx q[{place % 9}], q[{(place + 1) % 9}];\n" for place in range(5_000)
    )
    one = parse_openqasm(HEADS["2.0"] + "qreg q[9];\n" + gates, LIMITS)
    other = parse_openqasm(HEADS["3.0"] + "qubit[9] q;\n" + gates, LIMITS)
    assert one.tape == other.tape
    assert one.features.gate_count == 10_000


def test_spellings_of_a_wide_broadcast_are_bounded_before_they_are_made():
    blanks = ("".join(pair) for pair in product(" \t\n", repeat=9))
    source = HEADS["2.0"] + "qreg q[1024];" + "".join(f"{blank}h q;" for blank in blanks)
    started = time.process_time()
    with pytest.raises(ProgramError) as caught:
        parse_openqasm(source, LIMITS)
    assert caught.value.reason == "TOO_MANY_OPERATIONS"
    assert time.process_time() - started < 2.0
