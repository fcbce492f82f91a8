"""Engines that run only where a caller names them; neither their imports nor their runs may reach for the network."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from services.execution.engines import registry
from services.execution.engines.engine import EngineError
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm
from tests.unit.execution.circuits import GATES, circuits

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
CLOSE = {"braket": 1e-10, "cirq": 1e-10, "pennylane": 1e-10, "pyqrack": 1e-5}
PHASED = ("braket", "cirq", "pennylane")
"""Those that keep the global phase, and so have amplitudes."""
SOME = settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an engine reaches for the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


def run(name: str, circuit: QuantumCircuit, **asked: object):
    how = {"shots": 100, "seed": 1, "method": "statevector"} | asked
    return registry.engine(name).run(program_of(circuit.copy(), Limits()), **how)


def around(gate: str) -> QuantumCircuit:
    """A gate between turns of every qubit, so that each entry of its matrix shows in the amplitudes."""
    chance = random.Random(gate)
    circuit = QuantumCircuit(4, global_phase=0.4)
    for part in range(2):
        for qubit in range(4):
            circuit.u(*(chance.uniform(-3, 3) for _ in range(3)), qubit)
        if part == 0:
            chosen = GATES[gate]
            angles = [chance.uniform(-7, 7) for _ in chosen.params]
            circuit.append(chosen.base_class(*angles), chance.sample(range(4), chosen.num_qubits))
    return circuit


@pytest.mark.parametrize("name", registry.NAMED)
def test_every_gate_has_its_matrix_on_an_engine_that_is_named(name: str):
    for gate in GATES:
        circuit = around(gate)
        state = Statevector(circuit)
        found = run(name, circuit, with_probabilities=True).probabilities
        differences = [abs(found[f"{key:04b}"] - probability) for key, probability in enumerate(state.probabilities())]
        assert max(differences) < CLOSE[name], gate
        if name in PHASED:
            amplitudes = registry.engine(name).statevector(circuit, "statevector")
            assert np.abs(amplitudes - state.data).max() < CLOSE[name], gate


@SOME
@given(circuits())
def test_engines_that_are_named_agree_with_qulacs_on_random_circuits(circuit: QuantumCircuit):
    expected = run("qulacs", circuit, with_probabilities=True).probabilities
    for name, close in CLOSE.items():
        found = run(name, circuit, with_probabilities=True).probabilities
        differences = (abs(found.get(key, 0.0) - expected.get(key, 0.0)) for key in {*found, *expected})
        assert max(differences) < close, name


@pytest.mark.parametrize("name", registry.NAMED)
def test_a_circuit_past_ten_qubits_follows_its_distribution_there_too(name: str):
    chance = random.Random(3)
    circuit = QuantumCircuit(12)
    for layer in range(4):
        for qubit in range(12):
            circuit.u(*(chance.uniform(-3, 3) for _ in range(3)), qubit)
        for qubit in range(layer % 2, 11, 2):
            circuit.cx(qubit, qubit + 1)
    expected = run("qulacs", circuit, with_probabilities=True).probabilities
    found = run(name, circuit, with_probabilities=True).probabilities
    assert max(abs(found[key] - expected[key]) for key in expected) < CLOSE[name]


@pytest.mark.parametrize("name", registry.NAMED)
def test_a_seed_repeats_what_a_named_engine_draws(name: str):
    circuit = QuantumCircuit(5)
    circuit.h(range(5))
    first, again, other = (run(name, circuit, seed=seed, with_memory=True) for seed in (7, 7, 8))
    assert (first.counts, first.memory) == (again.counts, again.memory)
    assert first.counts != other.counts


@pytest.mark.parametrize("name", registry.NAMED)
def test_readout_follows_qiskit_order_on_a_named_engine(name: str):
    source = """qreg q[7]; creg a[3]; creg b[2]; x q[4]; x q[6]; cx q[4],q[1];
        measure q[4] -> b[1]; measure q[0] -> a[0]; measure q[6] -> a[2]; measure q[6] -> b[0]; measure q[1] -> b[0];
        measure q[0] -> a[2];"""
    program = parse_openqasm(V2 + source, Limits())
    assert registry.engine(name).run(program, shots=50, seed=1, method="statevector").counts == {"11 000": 50}
    assert run(name, QuantumCircuit(2), shots=9).counts == {"00": 9}


@pytest.mark.parametrize("name", registry.NAMED)
def test_a_named_engine_says_what_it_has_and_refuses_the_rest(name: str):
    engine = registry.engine(name)
    midway = parse_openqasm(V2 + "qreg q[1]; creg c[1]; h q[0]; measure q->c; h q[0];", Limits())
    with pytest.raises(EngineError, match="qiskit-aer takes circuits"):
        engine.run(midway, shots=1, seed=1, method="statevector")
    (widest,) = engine.capabilities.max_qubits.values()
    assert 20 < widest <= 26
    wide = QuantumCircuit(widest + 1)
    wide.h(range(widest + 1))
    with pytest.raises(EngineError, match=f"more than the {widest}") as caught:
        run(name, wide)
    assert caught.value.reason == "OUT_OF_MEMORY"


def test_braket_compiles_nothing_and_so_needs_no_folder_to_write_to():
    code = """
import numba  # whoever had it first
from services.execution.engines import registry
registry.engine("braket")
from braket.default_simulator import linalg_utils
print(type(linalg_utils._apply_cnot_large).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "function"


def test_pyqrack_has_no_amplitudes_because_its_global_phase_is_random():
    with pytest.raises(EngineError, match="qulacs by statevector does"):
        registry.engine("pyqrack").statevector(QuantumCircuit(1), "statevector")
