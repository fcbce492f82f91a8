"""The ideal distribution of wide circuits, by qsim."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit.circuit.library import get_standard_gate_name_mapping
from qulacs import QuantumCircuit, QuantumState
from qulacs.gate import DenseMatrix

from services.routing.prediction.circuit import Operation, encode, parse
from services.routing.prediction.ideal import WIDEST_WITH_ERRORS, ideal_of
from services.routing.prediction.profile import UnfitError
from services.routing.prediction.wide import probabilities

_WIDTH = 4
Gate = tuple[tuple[int, ...], NDArray[np.complex128]]


def every_gate() -> list[Gate]:
    """All of Qiskit's gates on one or two qubits, between rotations that no basis state survives."""
    source = np.random.default_rng(4)
    known = get_standard_gate_name_mapping()
    turn = type(known["u"])
    made: list[Gate] = []
    for gate in known.values():
        if gate.num_clbits or not 1 <= gate.num_qubits <= 2 or gate.name in ("delay", "reset"):
            continue
        made += [((qubit,), turn(*source.uniform(0, 3, 3)).to_matrix()) for qubit in range(_WIDTH)]
        angles = source.uniform(0, 3, len(gate.params))
        on = tuple(int(each) for each in source.permutation(_WIDTH)[: gate.num_qubits])
        made.append((on, (type(gate)(*angles) if len(angles) else gate).to_matrix()))
    return made


def test_every_gate_is_that_of_another_simulator():
    gates = every_gate()
    assert len(gates) > 200
    circuit, state = QuantumCircuit(_WIDTH), QuantumState(_WIDTH)
    for on, matrix in gates:
        circuit.add_gate(DenseMatrix(list(on), matrix))
    circuit.update_quantum_state(state)
    expected = np.abs(state.get_vector()) ** 2
    assert probabilities(_WIDTH, gates) == pytest.approx(expected, abs=1e-5)


def test_qubits_that_are_not_read_are_summed_over():
    width = WIDEST_WITH_ERRORS + 1
    gates: list[Operation] = [("ry", (qubit,), (0.1 * (qubit + 1),), ()) for qubit in range(width)]
    read = (2, width - 1)
    gates += [("measure", (qubit,), (), (index,)) for index, qubit in enumerate(read)]
    found = ideal_of(*parse(encode(width, len(read), gates)).decoded(), with_errors=True)
    ones = [np.sin(0.05 * (qubit + 1)) ** 2 for qubit in read]
    assert found.errors is None
    assert found.probabilities == pytest.approx(np.kron([1 - ones[1], ones[1]], [1 - ones[0], ones[0]]), abs=1e-5)


def test_an_unknown_gate_is_refused():
    width = WIDEST_WITH_ERRORS + 1
    with pytest.raises(UnfitError, match="there is no gate nonsense"):
        ideal_of(
            *parse(encode(width, 1, [("nonsense", (0,), (), ()), ("measure", (0,), (), (0,))])).decoded(),
            with_errors=True,
        )
