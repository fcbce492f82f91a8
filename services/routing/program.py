"""What routing knows of a program, and what a backend's run of it is predicted to be like."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

AUTO = "auto"
"""The hardware of a wish that leaves the choice to routing."""


class Environment(StrEnum):
    """What the caller's key may touch."""

    LIVE = "live"
    TEST = "test"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Features:
    """The measures of a program's circuit."""

    qubit_count: int
    clbit_count: int
    depth: int
    gate_count: int
    two_qubit_gate_count: int
    clifford: bool
    dynamic: bool
    """It measures mid-circuit, resets or branches."""
    entanglement_bound: int
    """log2 of the Schmidt rank over any cut, at most; and so of the bond dimension of a matrix product state."""
    circuit_count: int = 1
    """Circuits that the job runs."""
    classical_seconds: float = 0.0
    """What the job takes besides running circuits, whatever the backend."""

    @property
    def bond_bits(self) -> int:
        """The entanglement bound, which half of the qubits limits too."""
        return min(self.entanglement_bound, self.qubit_count // 2)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of routing."""

    hardware: str
    """A backend's name, or AUTO."""
    features: Features
    shot_count: int
    environment: Environment = Environment.LIVE
    excluded: frozenset[str] = frozenset()
    """Backends that failed this job already."""
    accounts: tuple[tuple[str, str], ...] = ()
    """The accounts that reach live machines, as provider and owner; a team's own stands before the operator's."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A prediction of one backend's run. The queue is taken as empty."""

    duration_p50: dt.timedelta
    duration_p90: dt.timedelta
    fidelity: float
    """Against the ideal distribution, 0 to 1; exactly 1 for an ideal simulator."""
    fidelity_low: float
    fidelity_high: float
    price: int
    """Micro-dollars on top of the algorithm's price."""
    memory_bytes: int
