"""Programs for machines, and machines to fit them to."""

from __future__ import annotations

from qiskit.circuit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.random import random_circuit

from services.execution.live.compiling import compiled, digest_of
from services.execution.live.dialects import BRAKET_NAMES, IONQ_NAMES, QELIB1_NAMES
from services.execution.live.target import Compiled, Place, Target
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.program import Program

IONQ = Target(device="qpu.test", dialect="ionq", qubit_count=11, gates=dict.fromkeys(IONQ_NAMES, ()))
BRAKET = Target(device="Test", dialect="braket", qubit_count=11, gates=dict.fromkeys(BRAKET_NAMES, ()))
QUANTINUUM = Target(device="h2", dialect="openqasm2", qubit_count=11, gates=dict.fromkeys(QELIB1_NAMES, ()))
LINE = Target(
    device="line",
    dialect="openqasm2",
    qubit_count=7,
    gates={
        **{name: tuple(Place((qubit,), 0.001) for qubit in range(7)) for name in ("rz", "sx", "x")},
        "ecr": tuple(Place((qubit, qubit + 1), 0.01) for qubit in range(6)),
    },
    readout_errors=(0.02,) * 7,
    calibration_id="line/2026-01-01",
)
"""A machine as IBM's: qubits in a row, one direction of one two-qubit gate, errors everywhere."""
ALL = {"ionq": IONQ, "braket": BRAKET, "quantinuum": QUANTINUUM, "ibm": LINE}


def program(circuit: QuantumCircuit) -> Program:
    return program_of(circuit, Limits())


def crossed() -> Program:
    """Two registers, an idle qubit, a bit that nothing is measured into, and bits that cross qubits."""
    qubits, a, b = QuantumRegister(4, "q"), ClassicalRegister(2, "a"), ClassicalRegister(3, "b")
    circuit = QuantumCircuit(qubits, a, b)
    circuit.ry(0.7, 0)
    circuit.cx(0, 3)
    circuit.x(1)
    circuit.rx(1.1, 3)
    circuit.measure(3, a[0])
    circuit.measure(0, b[2])
    circuit.measure(1, b[0])
    return program(circuit)


def random_program(seed: int, qubits: int = 4, depth: int = 6) -> Program:
    circuit = random_circuit(qubits, depth, max_operands=3, seed=seed)
    circuit.measure_all()
    return program(circuit)


def fitted(of: Program, target: Target, shots: int = 1000) -> Compiled:
    return compiled(of, shots, target, digest_of(of, shots))
