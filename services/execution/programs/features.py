"""What routing and the engines need to know of a circuit, without the circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """The measures of a flat circuit, all in O(gates); pickles, and needs no qiskit.

    `depth` counts measurements but not barriers; a branch counts as its deeper side, a loop as its body times its
    iterations (a while-loop once). `gate_count` leaves out measurements, resets, barriers and delays;
    `two_qubit_gate_count` counts every gate on two or more qubits. `active_qubits` are those that an operation touches.
    `cut_rank_bits` bounds log2 of the Schmidt rank over every cut of the qubits in their order, and so the bond
    dimension of a matrix product state (see `entanglement`). `dynamic` means a reset, control flow, or a gate after a
    measurement; `unbounded` means a while-loop, whose length only running shows.
    """

    num_qubits: int
    num_clbits: int
    active_qubits: int
    depth: int
    gate_count: int
    two_qubit_gate_count: int
    measurement_count: int
    cut_rank_bits: int
    clifford: bool
    dynamic: bool
    unbounded: bool
    gates: Mapping[str, int]
    classical_ms: float = 0.0
    """What the job takes besides running circuits, in milliseconds on one core: chemistry, optimisation."""
    circuit_count: int = 1
    """How many circuits like this one the job runs."""
    amplitudes: bool = False
    """Whether amplitudes or exact probabilities are asked for, and so double precision."""
    diagonal_gate_count: int = 0
    """Gates with a diagonal matrix, on one qubit or more."""
    reach: int = 0
    """The sum, over the gates on several qubits, of the distance between the outermost."""
    rank_work_bits: float = 0.0
    """log2 of the sum, over those gates and the cuts that they span, of the cube of the rank's bound by then."""
    measured_qubit_count: int = 0
    branching: bool = False
    """Whether it has control flow."""
    midway_count: int = 0
    """Measurements and resets that something follows: each may part the shots into branches."""
