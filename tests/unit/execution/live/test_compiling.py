"""What is sent means the same circuit: each dialect is read back by its own simulator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from braket.default_simulator import StateVectorSimulator
from braket.ir.openqasm import Program as BraketProgram
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.engines.engine import Outcome
from services.execution.live.counts import from_bits
from services.execution.live.dialects import IONQ_NAMES
from services.execution.live.ibm import _circuit
from services.execution.live.target import Compiled
from services.execution.programs.program import Program
from tests.unit.execution.devices import simulator
from tests.unit.execution.live.circuits import ALL, BRAKET, IONQ, LINE, crossed, fitted, program, random_program

PROGRAMS = [crossed(), *(random_program(seed) for seed in range(4))]


def truth(of: Program) -> dict[str, float]:
    """The exact distribution over all classical bits, bit 0 rightmost."""
    outcome: Outcome = simulator("statevector").run(of, shots=1, seed=0, with_probabilities=True)
    assert outcome.probabilities is not None
    return {key.replace(" ", ""): share for key, share in outcome.probabilities.items()}


def distribution(state: Statevector, circuit: Compiled) -> dict[str, float]:
    """The outcomes of a final state as counts of a billion shots, divided again."""
    shares = state.probabilities()
    scale = 10**9
    outcomes = ((lambda q, i=i: i >> q & 1, round(share * scale)) for i, share in enumerate(shares) if share > 1e-12)
    return {bits: count / scale for bits, count in from_bits(circuit, outcomes).items() if count}


def from_ionq(text: str, width: int) -> Statevector:
    names = {theirs: ours for ours, theirs in IONQ_NAMES.items()}
    circuit = QuantumCircuit(width)
    for gate in json.loads(text):
        angles = [gate["rotation"]] if "rotation" in gate else []
        qubits = gate.get("targets") or [*([gate["control"]] if "control" in gate else []), gate["target"]]
        getattr(circuit, names[gate["gate"]])(*angles, *qubits)
    return Statevector(circuit)


def from_braket(circuit: Compiled) -> dict[str, float]:
    """What Amazon's own simulator makes of the text."""
    lines = [line for line in circuit.text.splitlines() if "measure" not in line and not line.startswith("bit")]
    source = "\n".join([*lines, "#pragma braket result probability"])
    result = StateVectorSimulator().run_openqasm(BraketProgram(source=source), shots=0)
    shares = np.asarray(result.resultTypes[0].value)
    width = circuit.qubit_count
    outcomes = ((lambda q, i=i: i >> (width - 1 - q) & 1, round(s * 10**9)) for i, s in enumerate(shares) if s > 1e-12)
    return {bits: count / 10**9 for bits, count in from_bits(circuit, outcomes).items() if count}


def from_openqasm2(circuit: Compiled) -> dict[str, float]:
    read = _circuit(circuit)
    assert [(register.name, register.size) for register in read.cregs] == [("c", circuit.clbit_count)]
    homes = {read.find_bit(i.clbits[0]).index: read.find_bit(i.qubits[0]).index for i in read.data if i.clbits}
    assert homes == {clbit: qubit for qubit, clbit in circuit.readout}
    return distribution(Statevector(read.remove_final_measurements(inplace=False)), circuit)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_what_is_sent_has_the_distribution_of_what_was_asked(name: str, number: int):
    of, target = PROGRAMS[number], ALL[name]
    circuit = fitted(of, target)
    read = {
        "ionq": lambda: distribution(from_ionq(circuit.text, circuit.qubit_count), circuit),
        "braket": lambda: from_braket(circuit),
        "openqasm2": lambda: from_openqasm2(circuit),
    }[target.dialect]()
    expected = truth(of)
    assert set(read) <= set(expected)
    assert read == pytest.approx({bits: share for bits, share in expected.items() if bits in read}, abs=1e-6)


def test_only_what_the_machine_has_is_sent():
    circuit = _circuit(fitted(PROGRAMS[1], LINE))
    allowed = {(name, place.qubits) for name, places in LINE.gates.items() for place in places}
    used = {
        (item.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for item in circuit.data
        if item.name not in ("measure", "barrier")
    }
    assert used <= allowed
    assert circuit.num_qubits == LINE.qubit_count


def test_idle_qubits_are_not_sent_where_the_provider_finds_the_place():
    assert fitted(crossed(), IONQ).qubit_count == 3
    assert fitted(crossed(), BRAKET).qubit_count == 3


def test_the_fidelity_is_the_product_over_gates_and_readouts():
    bell = QuantumCircuit(1, 1)
    bell.x(0)
    bell.measure(0, 0)
    assert fitted(program(bell), LINE).fidelity == pytest.approx(0.999 * 0.98)
    assert fitted(program(bell), IONQ).fidelity is None


def test_the_same_circuit_is_fitted_to_the_same_text():
    first, second = (fitted(random_program(9), LINE) for _ in range(2))
    assert first == second
    assert fitted(random_program(9), LINE, shots=999).digest != first.digest


def test_a_dynamic_circuit_and_a_wide_one_are_refused():
    dynamic = QuantumCircuit(1, 2)
    dynamic.h(0)
    dynamic.measure(0, 0)
    dynamic.h(0)
    dynamic.measure(0, 1)
    with pytest.raises(AlgorithmError, match="measure once, at the end"):
        fitted(program(dynamic), IONQ)
    with pytest.raises(AlgorithmError, match=r"has 12 qubits and qpu\.test has 11"):
        fitted(random_program(1, qubits=12, depth=20), IONQ)
