"""Circuits whose last qubit is 1 with the probability that is the mean payoff, amplified a number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import UCRYGate

from services.execution.algorithms.toffoli import flip_with_spare
from services.execution.programs.flatten import flatten
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.execution.algorithms.amplitude.option import Grid

_LIMITS = Limits()


def powers_of(amplifications: int) -> list[int]:
    """Return the schedule of powers: 0, 1, 2, 4, ..., each amplification twice the last one."""
    return [0, *(1 << k for k in range(amplifications))]


def estimation_circuits(grid: Grid, powers: Sequence[int]) -> list[QuantumCircuit]:
    """Return for each power m the circuit Q^m A with the payoff's qubit measured.

    A loads the prices and turns the payoff's qubit; Q reflects about the outcomes that do not pay, and then about A|0>
    (Brassard, Hoyer, Mosca, Tapp, arXiv:quant-ph/0005055). The qubits: the price's, the payoff's, a spare one.
    """
    load = _load(grid)
    back = load.inverse()
    payoff, spare = grid.qubits, grid.qubits + 1
    step = QuantumCircuit(spare + 1)
    step.z(payoff)
    step.compose(back, inplace=True)
    everything = range(payoff + 1)
    step.x(everything)
    step.h(payoff)
    flip_with_spare(step, range(payoff), payoff, spare)
    step.h(payoff)
    step.x(everything)
    step.compose(load, inplace=True)
    circuits = []
    for power in powers:
        circuit = QuantumCircuit(spare + 1, 1)
        circuit.compose(load, inplace=True)
        for _ in range(power):
            circuit.compose(step, inplace=True)
        circuit.measure(payoff, 0)
        circuits.append(circuit)
    return circuits


def _load(grid: Grid) -> QuantumCircuit:
    """Return A: the probabilities of the prices, then of the payoff for each price.

    Each price qubit, from the highest, is turned by the share of the upper half of what the higher ones say (Grover and
    Rudolph, arXiv:quant-ph/0208112).
    """
    circuit = QuantumCircuit(grid.qubits + 1)
    for qubit in reversed(range(grid.qubits)):
        halves = grid.probabilities.reshape(-1, 2, 1 << qubit).sum(axis=2)
        _turn(circuit, halves[:, 1] / halves.sum(axis=1), qubit, range(qubit + 1, grid.qubits))
    _turn(circuit, grid.payoffs / grid.largest, grid.qubits, range(grid.qubits))
    return flatten(circuit, operations=_LIMITS.operations, nesting=_LIMITS.nesting)


def _turn(circuit: QuantumCircuit, shares: NDArray[np.float64], target: int, controls: Sequence[int]) -> None:
    """Turn a qubit from |0> so that it is 1 with shares[k] where the controls, lowest first, say k."""
    angles = 2 * np.arcsin(np.sqrt(np.clip(shares, 0, 1)))
    circuit.append(UCRYGate(angles.tolist()), [target, *controls])
