"""The order of a run, the same for every engine: check, draw, compare, write down.

An engine adds what its library does: a distribution or samples, and amplitudes. `engines/stim.py` is a short one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.engine import (
    COMPARABLE_QUBITS,
    MOST_PROBABILITIES,
    REFERENCE_QUBITS,
    Capabilities,
    EngineError,
    FidelityMethod,
    Method,
    Outcome,
)
from services.execution.engines.readout import Readout, check_memory, labels, readout_of
from services.execution.engines.sampling import (
    IMPOSSIBLE,
    generator,
    hellinger_fidelity,
    is_comparable,
    sample,
    shuffled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.programs.program import Program

_FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Draw:
    """What an engine drew: distinct rows of classical bits (see `Readout`), and how often each of them came.

    `ideal` is the distribution over the indices of the readout, where the engine knows it.
    """

    rows: NDArray[np.uint8]
    counts: NDArray[np.int64]
    ideal: NDArray[np.float64] | None = None


def draw_from(ideal: NDArray[np.float64], readout: Readout, shots: int, seed: int) -> Draw:
    """Sample a distribution over the indices of a readout."""
    indices, counts = sample(ideal, shots, generator(seed, "counts"))
    return Draw(readout.rows(indices), counts, ideal)


class Simulating(ABC):
    """An engine without noise, but for what its library does."""

    capabilities: Capabilities
    """What this engine can run here; set when it is made."""

    @abstractmethod
    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:
        """Run a program that was checked; what the library raises becomes an ENGINE_FAULT."""

    def amplitudes(self, _circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the state at the end of a flat circuit without measurements; an engine that has it puts it here."""
        message = f"method {method} of {self.capabilities.engine} gives no amplitudes; qulacs by statevector does"
        raise EngineError("UNSUPPORTED", message)

    def check(self, program: Program, method: Method) -> None:
        """Refuse what the method cannot run, before anything runs. Raises EngineError."""
        self._check_method(method)
        can, features = self.capabilities, program.features
        if method == "stabilizer" and not features.clifford:
            message = "the circuit has gates outside the Clifford group; methods other than stabilizer take them"
            raise EngineError("NOT_CLIFFORD", message)
        if features.dynamic and method not in can.dynamic:
            message = f"{can.engine} measures at the end alone; qiskit-aer takes circuits that measure midway or reset"
            raise EngineError("UNSUPPORTED", message)
        if method not in can.branching and program.tape.branches:
            raise EngineError("UNSUPPORTED", f"{can.engine} has no control flow; qiskit-aer takes it")
        widest = can.max_qubits[method]
        if features.active_qubits > widest:
            message = f"{features.active_qubits} qubits are more than the {widest} of method {method} here"
            raise EngineError("OUT_OF_MEMORY", message)

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
        """Run a program and sample it; see `Engine.run`."""
        self.check(program, method)
        if with_memory:
            check_memory(program, shots)
        started = time.perf_counter()
        readout = readout_of(program.tape)
        with self.faults():
            drawn = self.draw(program, readout, shots=shots, seed=seed, method=method)
        ideal = drawn.ideal
        if ideal is None:
            ideal = _reference(program, readout, COMPARABLE_QUBITS if with_probabilities else REFERENCE_QUBITS)
        counts = dict(zip(labels(program, drawn.rows), drawn.counts.tolist(), strict=True))
        fidelity, how = _fidelity(ideal, readout, drawn, shots)
        can = self.capabilities
        return Outcome(
            counts=counts,
            probabilities=_probabilities(program, readout, ideal) if with_probabilities else None,
            shots=shots,
            seed=seed,
            engine=can.engine,
            engine_version=can.engine_version,
            method=method,
            duration_ms=(time.perf_counter() - started) * 1e3,
            fidelity=fidelity,
            fidelity_method=how,
            memory=shuffled(counts, generator(seed, "memory")) if with_memory else None,
        )

    def statevector(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the final state; see `Engine.statevector`."""
        self._check_method(method)
        with self.faults():
            return self.amplitudes(circuit, method)

    def _check_method(self, method: Method) -> None:
        can = self.capabilities
        if method not in can.max_qubits:
            raise EngineError("UNSUPPORTED", f"{can.engine} has no method {method}; it has {', '.join(can.max_qubits)}")

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn what a library raises into EngineError."""
        name = self.capabilities.engine
        try:
            yield
        except MemoryError as error:
            message = f"{name} ran out of memory; the circuit has too much entanglement for this method"
            raise EngineError("OUT_OF_MEMORY", message) from error
        except _FAULTS as error:
            raise EngineError("ENGINE_FAULT", f"{name} failed: {error}") from error


def _reference(program: Program, readout: Readout, widest: int) -> NDArray[np.float64] | None:
    """Return the exact distribution by the state vector of another engine, where the circuit is narrow enough."""
    if program.features.dynamic or program.features.active_qubits > widest:
        return None
    from services.execution.engines.qulacs import distribution  # noqa: PLC0415 - it inherits from this module

    return distribution(program.tape, readout)


def _fidelity(
    ideal: NDArray[np.float64] | None, readout: Readout, drawn: Draw, shots: int
) -> tuple[float, FidelityMethod]:
    if ideal is None or not is_comparable(ideal, shots):
        return 1.0, "exact"
    return hellinger_fidelity(ideal, readout.indices(drawn.rows), drawn.counts), "ideal_comparison"


def _probabilities(program: Program, readout: Readout, ideal: NDArray[np.float64] | None) -> Mapping[str, float] | None:
    """Return the possible outcomes with their probabilities, None where they are unknown or too many."""
    if ideal is None:
        return None
    possible = np.flatnonzero(ideal > IMPOSSIBLE)
    if len(possible) > MOST_PROBABILITIES:
        return None
    return dict(zip(labels(program, readout.rows(possible)), ideal[possible].tolist(), strict=True))
