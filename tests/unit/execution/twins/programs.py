"""Programs for twins."""

from __future__ import annotations

import functools
import math

from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate

from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.openqasm import parse_openqasm
from services.execution.programs.program import Program
from services.execution.twins.shelf import snapshot
from services.execution.twins.twin import Twin


@functools.cache
def twin(device: str) -> Twin:
    """A twin with 1 GiB of memory."""
    return Twin(snapshot(device), threads=1, memory_limit=2**30)


def program(circuit: QuantumCircuit) -> Program:
    return program_of(circuit, Limits())


def parsed(source: str) -> Program:
    return parse_openqasm(source, Limits())


def ghz(qubits: int) -> Program:
    circuit = QuantumCircuit(qubits, qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(qubits), range(qubits))
    return program(circuit)


def fourier(qubits: int) -> Program:
    """The Fourier transform of a state with few frequencies: every qubit meets every other."""
    circuit = QuantumCircuit(qubits, qubits)
    circuit.h(range(0, qubits, 2))
    circuit.append(QFTGate(qubits), range(qubits))
    circuit.measure(range(qubits), range(qubits))
    return program(circuit)


def bricks(qubits: int, depth: int) -> Program:
    circuit = QuantumCircuit(qubits, qubits)
    for layer in range(depth):
        for qubit in range(qubits):
            circuit.ry(math.sin(1.0 + 7 * qubit + 3 * layer), qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(qubits), range(qubits))
    return program(circuit)
