"""Order finding: its circuit, what it measures, and what continued fractions make of that (Shor, quant-ph/9508027)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from services.execution.algorithms.qpe.estimation import amplitudes, phase_estimation
from services.execution.algorithms.shor.permutation import flips_of
from services.execution.algorithms.toffoli import flip_with_borrowed


@dataclass(frozen=True, slots=True)
class Order:
    """The order of `base` modulo `number`, to be read from `counting` qubits."""

    number: int
    base: int
    counting: int

    @property
    def bits(self) -> int:
        """Return the bits of the numbers that are multiplied."""
        return (self.number - 1).bit_length()

    @property
    def value(self) -> int:
        """Return the order itself, found classically for comparison: small numbers keep no secret."""
        return next(order for order in range(1, self.number) if pow(self.base, order, self.number) == 1)

    def circuit(self) -> QuantumCircuit:
        """Return the circuit, its counting qubits measured: first they, then those of the number 1."""
        powers = [_multiplication(pow(self.base, 1 << k, self.number), self.number) for k in range(self.counting)]
        circuit = QuantumCircuit(self.counting + self.bits, self.counting)
        circuit.x(self.counting)
        circuit.compose(phase_estimation(powers, self.bits), inplace=True)
        circuit.measure(range(self.counting), range(self.counting))
        return circuit

    def fraction(self, outcome: int) -> Fraction:
        """Return the fraction nearest to outcome / 2^t with a denominator below the number, by continued fractions."""
        return Fraction(outcome, 1 << self.counting).limit_denominator(self.number - 1)

    def read(self, outcome: int) -> int | None:
        """Return the denominator that an outcome gives where it passes the test base^denominator = 1, else None."""
        denominator = self.fraction(outcome).denominator
        return denominator if pow(self.base, denominator, self.number) == 1 else None

    def distribution(self) -> NDArray[np.float64]:
        """Return the probability of each outcome on a device without noise: |1> is all eigenstates alike."""
        order = self.value
        found = sum(np.abs(amplitudes(k / order, self.counting)) ** 2 for k in range(order))
        return np.asarray(found / order)


def factors_from(number: int, base: int, order: int) -> tuple[int, int] | None:
    """Return two factors where the order gives them: it is even, and base^(order/2) is not -1 modulo the number."""
    if order % 2:
        return None
    factor = math.gcd(pow(base, order // 2, number) - 1, number)
    return (min(factor, number // factor), max(factor, number // factor)) if 1 < factor < number else None


@lru_cache(maxsize=128)
def _multiplication(factor: int, number: int) -> QuantumCircuit:
    """Return x -> factor x modulo number for the x below it, controlled by qubit 0, as flips of a permutation.

    The table of the permutation is computed classically. x is on the qubits from 1 on; those after it are borrowed.
    """
    bits = (number - 1).bit_length()
    flips = flips_of([factor * value % number for value in range(number)], bits)
    widest = max((flip.controls.bit_count() for flip in flips), default=0)
    borrowed = range(bits + 1, bits + max(1, widest))
    circuit = QuantumCircuit(1 + bits + len(borrowed))
    for flip in flips:
        controls = [0, *(bit + 1 for bit in range(bits) if flip.controls >> bit & 1)]
        flip_with_borrowed(circuit, controls, flip.target + 1, borrowed)
    return circuit
