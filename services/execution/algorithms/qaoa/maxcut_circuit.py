"""The circuit of QAOA for cuts, and what it takes. Imports no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.qaoa.angles import evaluations_for, known
from services.execution.algorithms.qaoa.graph import Graph, graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_NANOSECONDS = 450.0
"""Per amplitude and layer of one evaluation, at most; the enumeration takes a twentieth of that for each edge."""


class MaxcutDescriber:
    """Measures the circuit of a graph."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuit, with the time that its angles take. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the circuit with the angles that the search begins with. Raises ParameterError."""
        graph, layers = graph_of(parameters), int(parameters["layers"])
        amplitudes = 1 << graph.nodes
        work = amplitudes * (layers * evaluations_for(amplitudes, layers) + len(graph.edges) / 20)
        circuit = maxcut_circuit(graph, known(layers, graph.angle_scale))
        return described_from(circuit, classical_ms=5.0 + work * _NANOSECONDS / 1e6)


def maxcut_circuit(graph: Graph, angles: NDArray[np.float64]) -> QuantumCircuit:
    """Return the circuit, every node measured: exp(-i gamma C) is one ZZ rotation by -gamma times weight an edge."""
    circuit = QuantumCircuit(graph.nodes)
    circuit.h(range(graph.nodes))
    for gamma, beta in zip(*np.split(angles, 2), strict=True):
        for first, second, weight in graph.edges:
            circuit.rzz(-float(gamma) * weight, first, second)
        circuit.rx(2 * float(beta), range(graph.nodes))
    circuit.measure_all()
    return circuit
