"""The circuit of Grover's search (arXiv:quant-ph/9605043)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit import QuantumCircuit

from services.execution.algorithms.toffoli import flip_with_spare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.execution.algorithms.grover.problem import Problem


def search_circuit(problem: Problem, iterations: int) -> QuantumCircuit:
    """Return the search: the strings' qubits, then one qubit for each clause, then a spare one where a gate needs it.

    All but the strings' qubits begin and end an iteration in |0>. The strings' qubits are measured.
    """
    spare = problem.qubits + len(problem.clauses)
    circuit = QuantumCircuit(spare + 1, problem.qubits)
    step = _iteration(problem, spare)
    strings = range(problem.qubits)
    circuit.h(strings)
    for _ in range(iterations):
        circuit.compose(step, inplace=True)
    circuit.measure(strings, strings)
    return circuit


def _iteration(problem: Problem, spare: int) -> QuantumCircuit:
    """Turn the sign of the solutions, then reflect about the uniform superposition."""
    strings = range(problem.qubits)
    circuit = QuantumCircuit(spare + 1)
    if problem.clauses:
        _mark_satisfying(circuit, problem, spare)
    else:
        for solution in problem.solutions:
            zeros = [qubit for qubit in strings if not solution >> qubit & 1]
            _flip(circuit, zeros)
            _turn_sign(circuit, strings, spare)
            _flip(circuit, zeros)
    circuit.h(strings)
    circuit.x(strings)
    _turn_sign(circuit, strings, spare)
    circuit.x(strings)
    circuit.h(strings)
    return circuit


def _mark_satisfying(circuit: QuantumCircuit, problem: Problem, spare: int) -> None:
    """Compute each clause into its own qubit, turn the sign where all hold, and compute back."""
    places = range(problem.qubits, spare)
    clauses = QuantumCircuit(circuit.num_qubits)
    for place, clause in zip(places, problem.clauses, strict=True):
        variables = [abs(literal) - 1 for literal in clause]
        positive = [abs(literal) - 1 for literal in clause if literal > 0]
        clauses.x(place)  # a clause fails where each of its literals does
        _flip(clauses, positive)
        flip_with_spare(clauses, variables, place, spare)
        _flip(clauses, positive)
    circuit.compose(clauses, inplace=True)
    _turn_sign(circuit, places, spare)
    circuit.compose(clauses.inverse(), inplace=True)


def _turn_sign(circuit: QuantumCircuit, qubits: Sequence[int], spare: int) -> None:
    """Turn the sign where all `qubits` are 1."""
    *controls, target = qubits
    circuit.h(target)
    flip_with_spare(circuit, controls, target, spare)
    circuit.h(target)


def _flip(circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    if qubits:
        circuit.x(qubits)
