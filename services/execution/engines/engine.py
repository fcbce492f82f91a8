"""The interface of an engine, its answer, and what a method needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit.circuit import QuantumCircuit

    from services.execution.engines.transpiled import Transpiled
    from services.execution.programs.features import Features
    from services.execution.programs.program import Program

Method = Literal["statevector", "stabilizer", "matrix_product_state", "density_matrix", "decision_diagram"]
METHODS: tuple[Method, ...] = get_args(Method)
Precision = Literal["double", "single"]

Refusal = Literal["NOT_CLIFFORD", "UNSUPPORTED", "OUT_OF_MEMORY"]

FidelityMethod = Literal["ideal_comparison", "calibration_estimate", "exact", "unknown"]
"""How a fidelity was found.

`ideal_comparison`: the Hellinger fidelity (sum of sqrt(p q))^2 of the counts that were returned against the exact
distribution of the same circuit. That needs a circuit that is not dynamic, of at most 20 active qubits where the engine
works on the distribution (state vectors, density matrices) and 12 where another has to find it, and shots that are at
least ten times the possible outcomes (with fewer the sampling itself lowers the value, whatever the engine).
`exact`: 1.0; the engine simulates without noise, and no such comparison was made.
`calibration_estimate`: predicted from a device's calibration.
`unknown`: 0.0; a machine whose provider publishes no errors answered, and its answer could not be compared.
"""

COMPARABLE_QUBITS = 20
REFERENCE_QUBITS = 12
"""Up to this width, what only samples is compared with the state vector of another engine; it takes a millisecond."""
COMPARABLE_SHOTS_PER_OUTCOME = 10
MOST_PROBABILITIES = 4_096
LARGEST_MEMORY = 16 * 2**20
"""Characters of the bit strings of single shots, all shots together."""
LARGEST_COUNTS = 128 * 2**20
"""Characters of the bit strings of different outcomes, all together; who answers with them may allow less."""

_COMPLEX_BYTES = 16
_NODE_BYTES = 256
_MPS_COPIES = 3
"""An update holds the two tensors, their contraction and the factors of its decomposition."""


class EngineError(Exception):
    """A program that the method cannot run, or that failed while it ran.

    NOT_CLIFFORD, UNSUPPORTED (the engine has no means for what the circuit or the caller asks) and OUT_OF_MEMORY are
    refusals made before anything runs; ENGINE_FAULT is what a library raised.
    """

    def __init__(self, reason: Refusal | Literal["ENGINE_FAULT"], message: str) -> None:
        """Keep the reason and the words."""
        self.reason = reason
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type[EngineError], tuple[str, str]]:
        """Pickle by the constructor's arguments."""
        return type(self), (self.reason, self.message)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do on this machine.

    `engine` is the name of its package. `max_qubits` has a key for every method of the engine: the widest circuit, in
    active qubits. `dynamic` are those of its methods that take mid-circuit measurement and reset, `branching` those
    that take control flow too.
    `precision` is that of an amplitude: counts of a single-precision engine follow a distribution within about 1e-5 of
    the exact one.
    """

    engine: str
    engine_version: str
    max_qubits: Mapping[Method, int]
    dynamic: frozenset[Method] = frozenset()
    branching: frozenset[Method] = frozenset()
    precision: Precision = "double"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave.

    `counts` are bit strings in Qiskit's order: last register leftmost, registers apart by a space, highest bit of each
    leftmost. `probabilities`, over the same strings, only where they were asked for, the engine knows the distribution,
    and at most 4,096 outcomes are possible. `memory`, only where it was asked for, has the bit string of every shot:
    shots are exchangeable, so a seeded permutation of the counts is as good a record as the order of the draws. `seed`
    is the one that was given, and repeats all of this bit for bit on the same engine version. `transpiled` is the
    circuit that ran, where it was fitted to a device first; None for an ideal simulator.
    """

    counts: Mapping[str, int]
    probabilities: Mapping[str, float] | None
    shots: int
    seed: int
    engine: str
    engine_version: str
    method: Method
    duration_ms: float
    fidelity: float
    fidelity_method: FidelityMethod
    memory: tuple[str, ...] | None = None
    transpiled: Transpiled | None = None


class Engine(Protocol):
    """Runs flat programs."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this engine can run here."""
        ...

    def run(  # what a caller may ask of a run, each part one thing
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        method: Method,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """Run a program and sample it `shots` times.

        Raises EngineError; OUT_OF_MEMORY too where the memory asked for would be larger than LARGEST_MEMORY.
        """
        ...

    def statevector(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the final state of a flat circuit without measurements, qubit 0 lowest.

        Raises EngineError, where the method keeps no amplitudes too.
        """
        ...


def memory_bytes(features: Features, method: Method) -> int:
    """Return a bound on the memory, in bytes, that a method needs at its peak.

    Statevector: 16 B for each of 2^n amplitudes, and as much again for the distribution of at most 20 qubits.
    Density matrix: 4^n amplitudes and the distribution. Decision diagram: a node for each level and each of the
    sub-vectors that the gates over its cut allow.
    Stabilizer: a tableau of 2n rows of 2n bits and a sign. Matrix product state: n tensors of 2 chi^2 amplitudes, chi
    the bound that the gates over each cut allow.
    """
    n = max(features.active_qubits, 1)
    if method == "statevector":
        return _COMPLEX_BYTES * ((1 << n) + (1 << min(n, COMPARABLE_QUBITS)))
    if method == "stabilizer":
        return 2 * n * (2 * n + 1) // 8 + n
    if method == "density_matrix":
        return _COMPLEX_BYTES * ((1 << 2 * n) + (1 << n))
    if method == "decision_diagram":
        return _NODE_BYTES * n * (1 << min(features.cut_rank_bits, n))
    bond_bits = min(features.cut_rank_bits, n // 2)
    return _MPS_COPIES * _COMPLEX_BYTES * n * 2 * (1 << 2 * bond_bits)
