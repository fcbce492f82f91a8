"""Random circuits for the tests of engines, drawn by hypothesis, and how far apart counts may be."""

import math
from collections.abc import Mapping

from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping

from services.execution.programs.clifford import GENERATORS
from services.execution.programs.flatten import STANDARD_GATES

GATES = {name: get_standard_gate_name_mapping()[name] for name in sorted(STANDARD_GATES)}
_ANGLES = st.one_of(
    st.sampled_from([0.0, math.pi / 2, -math.pi / 2, math.pi, math.pi / 4, -3 * math.pi]),
    st.floats(-7, 7, allow_nan=False),
)
_QUARTERS = st.integers(-4, 4).map(lambda quarter: quarter * math.pi / 2)
_TURNS = ("p", "r", "rx", "ry", "rz", "u", "u1", "u2", "u3", "rxx", "ryy", "rzx", "rzz")
"""Gates that are Clifford at multiples of a quarter turn."""
FALSE_ALARM = 1e-9


@st.composite
def circuits(draw: st.DrawFn, *, clifford: bool = False, dynamic: bool = False, most: int = 6) -> QuantumCircuit:
    """Up to 30 operations on up to `most` qubits, all of them measured at the end into as many bits, out of order."""
    width = draw(st.integers(1, most))
    names = [name for name in (GENERATORS | set(_TURNS) if clifford else GATES) if GATES[name].num_qubits <= width]
    circuit = QuantumCircuit(width, width)
    for _ in range(draw(st.integers(0, 30))):
        if dynamic and draw(st.integers(0, 4)) == 0:
            qubit = draw(st.integers(0, width - 1))
            if draw(st.booleans()):
                circuit.reset(qubit)
            else:
                circuit.measure(qubit, draw(st.integers(0, width - 1)))
            continue
        gate = GATES[draw(st.sampled_from(sorted(names)))]
        qubits = draw(st.permutations(range(width)))[: gate.num_qubits]
        angles = [draw(_QUARTERS if clifford else _ANGLES) for _ in gate.params]
        circuit.append(gate.base_class(*angles), qubits)
    bits = draw(st.permutations(range(width)))
    measured = width if not dynamic else draw(st.integers(1, width))
    circuit.measure(range(measured), bits[:measured])
    return circuit


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The total variation distance of two counts, or of counts and probabilities."""
    shots, others = sum(one.values()), sum(other.values())
    return sum(abs(one.get(key, 0) / shots - other.get(key, 0) / others) for key in {*one, *other}) / 2


def farthest(outcomes: int, shots: int) -> float:
    """What the distance of two counts of the same distribution exceeds with probability FALSE_ALARM at most.

    With K possible outcomes and N shots each, the mean distance to the distribution is at most sqrt((K - 1) / N) / 2
    (Jensen), so that of the two counts at most twice that; one shot changes it by 1/N at most, so that it exceeds its
    mean by t with probability exp(-N t^2) at most (McDiarmid, over 2 N shots).
    """
    return math.sqrt((outcomes - 1) / shots) + math.sqrt(math.log(1 / FALSE_ALARM) / shots)
