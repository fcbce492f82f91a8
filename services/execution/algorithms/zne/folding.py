"""Circuits that do the same with more gates, and so with more noise.

Giurgica-Tiron, Hindy, LaRose, Mari, Zeng, "Digital zero noise extrapolation for quantum error mitigation", IEEE QCE
2020, arXiv:2005.10921. Barriers stand between a piece and its inverse, or a compiler would cancel them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qiskit import QuantumCircuit

if TYPE_CHECKING:
    from qiskit.circuit import CircuitInstruction

Folding = Literal["global", "local"]


@dataclass(frozen=True, slots=True)
class Folded:
    """A circuit, and how many times the gates it has; `scale` is 1 plus an even multiple of a share of the gates."""

    circuit: QuantumCircuit
    scale: float


def folded(circuit: QuantumCircuit, scale: float, how: Folding) -> Folded:
    """Return a circuit without measurements with about `scale` >= 1 times its gates.

    "global": U becomes U (U^-1 U)^n, and its last gates again L^-1 L. "local": each gate G becomes G (G^-1 G)^n, and
    some, evenly spread, are folded once more. Barriers of the circuit itself are kept and not counted.
    """
    gates = sum(item.name != "barrier" for item in circuit.data)
    if not gates:
        return Folded(circuit, 1.0)
    folds = round(gates * (scale - 1) / 2)
    make = _globally if how == "global" else _locally
    return Folded(make(circuit, *divmod(folds, gates)), 1 + 2 * folds / gates)


def _globally(circuit: QuantumCircuit, whole: int, rest: int) -> QuantumCircuit:
    inverse = circuit.inverse()
    result = circuit.copy()
    for _ in range(whole):
        _append(result, inverse)
        _append(result, circuit)
    if rest:
        tail = _tail(circuit, rest)
        _append(result, tail.inverse())
        _append(result, tail)
    return result


def _append(result: QuantumCircuit, piece: QuantumCircuit) -> None:
    result.barrier()
    result.compose(piece, inplace=True)


def _tail(circuit: QuantumCircuit, gates: int) -> QuantumCircuit:
    """Return the last gates of a circuit."""
    tail = circuit.copy_empty_like()
    left = sum(item.name != "barrier" for item in circuit.data) - gates
    for item in circuit.data:
        if item.name != "barrier":
            left -= 1
            if left < 0:
                tail.append(item)
    return tail


def _locally(circuit: QuantumCircuit, whole: int, rest: int) -> QuantumCircuit:
    gates = sum(item.name != "barrier" for item in circuit.data)
    result = circuit.copy_empty_like()
    place = 0
    for item in circuit.data:
        if item.name == "barrier":
            result.append(item)
            continue
        more = (place + 1) * rest // gates - place * rest // gates  # 1 for `rest` of the gates, evenly spread
        place += 1
        _fold_gate(result, item, whole + more)
    return result


def _fold_gate(result: QuantumCircuit, item: CircuitInstruction, times: int) -> None:
    result.append(item)
    inverse = item.operation.inverse()
    for _ in range(times):
        result.barrier(item.qubits)
        result.append(inverse, item.qubits)
        result.barrier(item.qubits)
        result.append(item)
    result.barrier(
        item.qubits
    )  # at every scale alike: gates of the unfolded circuit merge no more than those of others
