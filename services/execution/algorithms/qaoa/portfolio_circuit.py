"""The circuit of QAOA for portfolios, and what it takes. Imports no engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.qaoa.angles import evaluations_for
from services.execution.algorithms.qaoa.assets import Assets, assets_of
from services.execution.algorithms.qaoa.exchange import ring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_USUAL = 0.5
_NANOSECONDS = 300.0
"""Per amplitude, layer and asset of one evaluation, at most; measured."""


class PortfolioDescriber:
    """Measures the circuit of a choice."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuit, with the time that its angles take. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit with angles of a usual size.

        The job itself searches for its own. Raises ParameterError.
        """
        assets, layers = assets_of(parameters), int(parameters["layers"])
        count, size = len(assets.names), len(assets.portfolios)
        work = size * layers * count * evaluations_for(size, layers)
        circuit = portfolio_circuit(assets, np.full(2 * layers, _USUAL))
        return described_from(circuit, classical_ms=5.0 + work * _NANOSECONDS / 1e6)


def portfolio_circuit(assets: Assets, angles: NDArray[np.float64]) -> QuantumCircuit:
    """Return the circuit, every asset measured: all portfolios alike, then the layers."""
    count = len(assets.names)
    fields, couplings = assets.spins()
    circuit = dicke(count, assets.budget)
    for gamma, beta in zip(*np.split(angles, 2), strict=True):
        for first, second in zip(*np.nonzero(couplings), strict=True):
            circuit.rzz(2 * float(gamma * couplings[first, second]), int(first), int(second))
        for asset in range(count):
            circuit.rz(2 * float(gamma * fields[asset]), asset)
        for first, second in ring(count):
            circuit.rxx(float(beta), first, second)
            circuit.ryy(float(beta), first, second)
    circuit.measure_all()
    return circuit


def dicke(qubits: int, ones: int) -> QuantumCircuit:
    """Return the circuit of the equal superposition of all states with a number of ones, 0 < ones < qubits.

    Bärtschi and Eidenbenz, "Deterministic preparation of Dicke states", FCT 2019, arXiv:1904.07358. Where more than
    half are ones, the zeros are placed and every qubit is flipped.
    """
    fewer = min(ones, qubits - ones)
    circuit = QuantumCircuit(qubits)
    circuit.x(range(qubits - fewer, qubits))
    for width in range(qubits, 1, -1):
        _split(circuit, width, min(fewer, width - 1))
    if fewer != ones:
        circuit.x(range(qubits))
    return circuit


def _split(circuit: QuantumCircuit, width: int, ones: int) -> None:
    """Split and shift cyclically among the first `width` qubits (the gate SCS of the paper)."""
    last = width - 1
    for place in range(1, ones + 1):
        target = last - place
        half = math.acos(math.sqrt(place / width))
        circuit.cx(target, last)
        controls = (last,) if place == 1 else (last, target + 1)
        circuit.ry(half, target)
        _flip(circuit, controls, target)
        circuit.ry(-half, target)
        _flip(circuit, controls, target)
        circuit.cx(target, last)


def _flip(circuit: QuantumCircuit, controls: tuple[int, ...], target: int) -> None:
    if len(controls) == 1:
        circuit.cx(controls[0], target)
    else:
        circuit.ccx(*controls, target)
