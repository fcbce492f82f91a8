"""How a fitted program is simulated: the way that takes the least time, of those that fit.

Times are CPU seconds of one thread of a 2-core x86-64 virtual machine, measured on 2026-11-21: 10 ns for each number
that a step of a density matrix writes (8 to 14, also shot by shot); a state vector 3 µs a gate and shot up to 10
qubits, past that 60 µs and 4 ns for each amplitude; a matrix product state 40 µs and 0.3 µs for each chi^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from noise.density import LARGEST_STATE
from services.execution.engines.engine import EngineError

if TYPE_CHECKING:
    from noise.density import Plan
    from services.execution.engines.transpiled import Transpiled
    from services.execution.programs.features import Features

WayName = Literal["distribution", "draws", "statevector", "matrix_product_state"]
LONGEST_SECONDS = 200.0
_COPIES = 24
"""Bytes of a number and of its copies: a step holds the state, the state with its axes moved, and the new one."""
_NUMBER = 1e-8
_NARROW = 10
_MOST_BOND_BITS = 10


@dataclass(frozen=True, slots=True)
class Way:
    """A way to simulate, what it takes in seconds, and in bytes."""

    name: WayName
    seconds: float
    memory: int


def cheapest_way(
    plan: Plan | None, features: Features, transpiled: Transpiled, *, shots: int, memory_limit: int
) -> Way:
    """The way for a program; without a `plan` it has to be simulated shot by shot.

    Raises EngineError (OUT_OF_MEMORY, UNSUPPORTED) where none fits into `memory_limit` bytes and LONGEST_SECONDS.
    """
    ways = _trajectories(features, transpiled, shots)
    if plan is not None:
        together = min(shots, max(1, LARGEST_STATE // plan.shot_size))
        ways += [
            Way("distribution", _NUMBER * plan.distribution_work, _COPIES * plan.distribution_size),
            Way("draws", _NUMBER * plan.shot_work * shots, _COPIES * plan.shot_size * together),
        ]
    fitting = [way for way in ways if way.memory <= memory_limit]
    if not fitting:
        message = f"the noisy state of {features.active_qubits} qubits does not fit into {memory_limit} bytes"
        raise EngineError("OUT_OF_MEMORY", f"{message}; use fewer qubits, or an ideal simulator")
    best = min(fitting, key=lambda way: way.seconds)
    if best.seconds > LONGEST_SECONDS:
        message = f"{shots} noisy shots would take about {best.seconds:,.0f} s; {LONGEST_SECONDS:.0f} s are allowed"
        raise EngineError("UNSUPPORTED", f"{message}; take fewer shots, gates or qubits, or an ideal simulator")
    return best


def _trajectories(features: Features, transpiled: Transpiled, shots: int) -> list[Way]:
    qubits = features.active_qubits
    work = shots * max(1, transpiled.gate_count)
    amplitudes = 1 << min(qubits, 60)
    gate = 3e-6 if qubits <= _NARROW else 6e-5 + 4e-9 * amplitudes
    ways = [Way("statevector", work * gate, 2 * 16 * amplitudes)]
    bond_bits = min(features.cut_rank_bits, qubits // 2)
    if bond_bits <= _MOST_BOND_BITS:
        bond = 1 << bond_bits
        ways.append(Way("matrix_product_state", work * (4e-5 + 3e-7 * bond**2), 3 * 16 * 2 * qubits * bond**2))
    return ways
