"""What a twin's run takes, from the features of a program alone. Imports nothing heavy.

The program is not fitted to the machine yet, so this is rougher than what `method` says after: wide circuits of little
entanglement take the width of their state from the bound on it, and routing is taken to double the gates.
Over 85 runs of 2 to 20 qubits on six machines (bench/twins.py --model, 2026-11-21, CPU time): measured / predicted
10 % 0.25, median 0.6, 90 % 3.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.execution.programs.features import Features

ENGINE = "twin"
METHOD = "calibrated_noise"
SPREAD_P90 = 3.8
"""The 90th percentile of measured / predicted."""

MOST_MEMORY = 2**29
"""Bytes that a run may take."""
_COPIES = 24
_START = 0.015
_GATE = 1.5e-4
_NUMBER = 1e-8
_ROUTED = 2
_NARROW = 10
_MOST_BITS = 200


def seconds(features: Features, shots: int) -> float:
    """The seconds that a job takes, median."""
    qubits, gates = features.active_qubits, features.gate_count
    pairs = _ROUTED * features.two_qubit_gate_count + qubits
    step = 3e-6 if qubits <= _NARROW else 6e-5 + 4e-9 * _power(qubits)
    trajectories = shots * _ROUTED * gates * step
    bond = _power(min(features.cut_rank_bits, qubits // 2))
    chain = shots * _ROUTED * gates * (4e-5 + 3e-7 * bond**2)
    ways = [trajectories, chain]
    if not features.dynamic:
        width = min(qubits, 2 * features.cut_rank_bits + 1)
        ways += [
            _NUMBER * pairs * _power(2 * width + max(0, qubits - width)),
            _NUMBER * shots * pairs * _power(2 * width),
        ]
    return (_START + _GATE * gates + min(ways)) * features.circuit_count + features.classical_ms / 1e3


def memory_bytes(features: Features) -> int:
    """The memory that a run takes at its peak, at most."""
    return int(min(MOST_MEMORY, _COPIES * _power(2 * features.active_qubits)))


def _power(bits: int) -> float:
    return 2.0 ** min(bits, _MOST_BITS)
