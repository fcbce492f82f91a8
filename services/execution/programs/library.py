"""The gates that a program may use without defining them, as the steps that a flat circuit has in their place.

What the two parsers make of each of these names is what stands here (a test goes through them all).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping

from services.execution.programs.flatten import STANDARD_GATES, flatten
from services.execution.programs.limits import Limits
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.programs.program import Version
    from services.execution.programs.tape import Operation


class LibraryGate(NamedTuple):
    """A gate, by qiskit's name for it."""

    name: str
    angles: int
    qubits: int
    composite: bool
    """Whether a flat circuit has other gates in its place."""


def _gate(name: str) -> LibraryGate:
    made = get_standard_gate_name_mapping()[name]
    return LibraryGate(name, len(made.params), made.num_qubits, name not in STANDARD_GATES)


def _gates(names: str, **aliases: str) -> Mapping[str, LibraryGate]:
    return {name: _gate(name) for name in names.split()} | {alias: _gate(name) for alias, name in aliases.items()}


LIBRARY: Mapping[Version, Mapping[str, LibraryGate]] = {
    "2.0": _gates(
        "x y z h s sdg t tdg sx sxdg id p rx ry rz u u1 u2 u3 cx cy cz cp csx swap ccx cswap rxx ryy rzx rzz"
        " ch crx cry crz cu cu1 cu3",
        U="u",
        CX="cx",
    ),
    "3.0": _gates(
        "x y z h s sdg t tdg sx p rx ry rz u1 u2 u3 cx cy cz cp swap ccx cswap ch crx cry crz cu",
        U="u",
        CX="cx",
        phase="p",
        cphase="cp",
    ),
}
"""Gates by their names once the standard file is included."""


@lru_cache(maxsize=4_096)
def expanded(name: str, angles: tuple[float, ...]) -> tuple[Operation, ...]:
    """Return the steps of a composite gate on the qubits 0, 1, ...; LIBRARY_FAULTS where there are none."""
    made = get_standard_gate_name_mapping()[name]
    circuit = QuantumCircuit(made.num_qubits)
    circuit.append(made.base_class(*angles), range(made.num_qubits))
    limits = Limits()
    flat = flatten(circuit, operations=limits.operations, nesting=limits.nesting)
    return tape_of(flat, with_idle=True).operations()
