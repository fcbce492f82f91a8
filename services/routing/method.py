"""The simulation methods: what a circuit costs each in steps and memory, and when it cannot run it at all.

The steps are counted from features alone, in O(1):

    method                 work of the gates        state            one sample
    statevector            gates · 2^n              2^n              1
    stabilizer             gates · n                n²               n · (n + 25)
    matrix_product_state   two-qubit gates · χ³     n · χ²           n · (χ + 2)

n counts qubits and χ = 2^(entanglement bound) is the bond dimension at most; 25 and 2 are measured. A dynamic circuit
is simulated anew for each branch of its measurements, at most for each shot: its gates count as `branch`, once a shot
(a matrix product state then moves its centre for each gate, gates · n · (χ + 2) steps).
Steps times the measured seconds of each (catalogue.toml, made by bench/routing_model.py) are the predicted duration.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services.routing.program import Features

COMPARED_QUBITS = 20
"""Up to this width a state vector is simulated too, to compare the counts with the exact distribution."""
_AMPLITUDE_BYTES = 16
_TENSOR_COPIES = 3  # an update holds two tensors, their contraction and its factors
_MOST_BITS = 500  # keeps every product of powers within a float


class Method(StrEnum):
    """How a circuit is simulated; the values are Aer's names."""

    STATEVECTOR = "statevector"
    STABILIZER = "stabilizer"
    MATRIX_PRODUCT_STATE = "matrix_product_state"


class Steps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something for each kind of step: how many there are, or how many seconds one takes."""

    run: float
    """Starting one circuit."""
    gate: float
    """Handing a gate over."""
    work: float
    """Applying the gates."""
    state: float
    """Reading the final state once."""
    sample: float
    """Drawing a shot from it."""
    restart: float
    """Starting a shot of a dynamic circuit."""
    branch: float
    """Applying the gates of a dynamic circuit, for each shot."""

    def times(self, other: Steps) -> float:
        """The sum of the products."""
        return (
            self.run * other.run
            + self.gate * other.gate
            + self.work * other.work
            + self.state * other.state
            + self.sample * other.sample
            + self.restart * other.restart
            + self.branch * other.branch
        )


def steps(method: Method, features: Features, shot_count: int) -> Steps:
    """How many steps of each kind one circuit takes."""
    n, gates = float(features.qubit_count), float(features.gate_count)
    match method:
        case Method.STATEVECTOR:
            sample, state = 1.0, _power(features.qubit_count)
            work = branch = gates * state
        case Method.STABILIZER:
            sample, state = n * (n + 25.0), n**2
            work = branch = gates * n
        case Method.MATRIX_PRODUCT_STATE:
            sample, state = n * (_power(features.bond_bits) + 2.0), n * _power(2 * features.bond_bits)
            work, branch = features.two_qubit_gate_count * _power(3 * features.bond_bits), gates * sample
    return Steps(
        run=1.0,
        gate=gates,
        work=0.0 if features.dynamic else work,
        state=state,
        sample=shot_count * sample,
        restart=float(shot_count) if features.dynamic else 0.0,
        branch=shot_count * branch if features.dynamic else 0.0,
    )


def memory_bytes(method: Method, features: Features) -> int:
    """The memory that a run takes at its peak, at most."""
    n = features.qubit_count
    match method:
        case Method.STATEVECTOR:
            needed = _AMPLITUDE_BYTES * (_power(n) + _power(min(n, COMPARED_QUBITS)))
        case Method.STABILIZER:
            needed = 2 * n * (2 * n + 1) / 8 + n
        case Method.MATRIX_PRODUCT_STATE:
            needed = _TENSOR_COPIES * _AMPLITUDE_BYTES * n * 2 * _power(2 * features.bond_bits)
    return int(needed)


def _power(bits: int) -> float:
    return 2.0 ** min(bits, _MOST_BITS)
