from dataclasses import replace
from typing import Any

import pytest
from qiskit import QuantumCircuit

from services.execution.compute import SHOWN_GATES, _told
from services.execution.engines.device import Simulator
from services.execution.engines.engine import Outcome
from services.execution.engines.journal import Journal
from services.execution.engines.transpiled import Transpiled
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.program import Program
from tests.unit.execution.devices import simulator


class Fitting(Simulator):
    """A simulator that says it had fitted each circuit to qubits counted from 3."""

    def __init__(self) -> None:
        inner = simulator("statevector")
        super().__init__(inner._engine, inner._method)

    def run(self, program: Program, **how: Any) -> Outcome:
        layout = tuple(range(3, 3 + program.features.num_qubits))
        return replace(super().run(program, **how), transpiled=Transpiled(program.circuit, layout, 1))


def chain(length: int) -> Program:
    circuit = QuantumCircuit(length)
    circuit.h(0)
    for qubit in range(length - 1):
        circuit.cx(qubit, qubit + 1)
    return program_of(circuit, Limits())


def test_a_journal_answers_as_its_device_and_counts_what_ran():
    device = simulator("statevector")
    journal = Journal(device)
    for length, shots in ((2, 100), (3, 200)):
        outcome = journal.run(chain(length), shots=shots, seed=1, with_memory=True)
        assert outcome.counts == device.run(chain(length), shots=shots, seed=1).counts
        assert len(outcome.memory or ()) == shots
    assert (journal.circuit_count, journal.shot_count, journal.transpiled) == (2, 300, None)
    spent = journal.device_seconds
    assert spent > 0
    assert journal.statevector(QuantumCircuit(1))[0] == 1
    assert journal.device_seconds > spent
    told = (journal.ideal, journal.engine, journal.engine_version, journal.calibration_id)
    assert told == (True, device.engine, device.engine_version, None)


def test_the_fitted_circuit_with_the_most_gates_on_two_qubits_is_kept():
    journal = Journal(Fitting())
    for length in (2, 4, 3):
        journal.run(chain(length), shots=10, seed=1)
    assert journal.transpiled is not None
    assert (journal.transpiled.layout, journal.transpiled.two_qubit_gate_count) == ((3, 4, 5, 6), 3)
    told = _told(journal.transpiled)
    assert (told.layout, told.gate_count, told.two_qubit_gate_count, told.depth) == ([3, 4, 5, 6], 4, 3, 5)
    assert told.openqasm is not None
    assert told.openqasm.startswith("OPENQASM 3.0;")


@pytest.mark.parametrize(("gates", "shown"), [(SHOWN_GATES, True), (SHOWN_GATES + 1, False)])
def test_the_text_of_a_long_circuit_is_left_out(gates: int, shown: bool):  # noqa: FBT001
    circuit = QuantumCircuit(1)
    for _ in range(gates):
        circuit.x(0)
    told = _told(Transpiled(circuit, (0,), 2))
    assert (told.gate_count, told.openqasm is not None) == (gates, shown)
