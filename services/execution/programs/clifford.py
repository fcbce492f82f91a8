"""Which gates are Clifford at the angles they carry, and their form in the generators of the group."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Clifford

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

GENERATORS = frozenset({"id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "ecr"})
"""Gates that are Clifford by name; the stabilizer method runs each of them as it is."""

_NEVER = frozenset({"t", "tdg", "ccx", "cswap", "csx", "ccz"})
_GATES = get_standard_gate_name_mapping()
_STEP = math.pi / 4
_TOLERANCE = 1e-9


def clifford_form(name: str, angles: tuple[float, ...]) -> QuantumCircuit | None:
    """Return a circuit over `GENERATORS` equal to the standard gate up to a global phase, or None.

    None means that no such circuit exists. Angles are taken to 1e-9 rad.
    """
    if name in _NEVER:
        return None
    steps = tuple(round(angle / _STEP) for angle in angles)
    if any(abs(angle - step * _STEP) > _TOLERANCE for angle, step in zip(angles, steps, strict=True)):
        # Clifford angles of every standard gate are multiples of pi/2; u(0, a, -a), the one exception, is not worth
        # a matrix for each new angle.
        return None
    return _form(name, tuple(step % 16 for step in steps))


@lru_cache(maxsize=4_096)
def _form(name: str, steps: tuple[int, ...]) -> QuantumCircuit | None:
    gate = _GATES[name].base_class(*(step * _STEP for step in steps))
    try:
        return Clifford.from_matrix(gate.to_matrix()).to_circuit()
    except QiskitError:
        return None
