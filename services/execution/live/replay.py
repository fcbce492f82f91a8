"""An algorithm on a machine: replayed with the answers that are known so far, until it needs no more.

    first run    asks for circuits 0 and 1, which nobody has answered    → CircuitsNeeded(0, 1)
    second run   is given the answers to 0 and 1, asks for 2             → CircuitsNeeded(2)
    last run     is given all answers                                    → its result

An algorithm is a function of its parameters, shots, seed and what its device answered, so each run asks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.engines.engine import COMPARABLE_QUBITS, EngineError, FidelityMethod, Outcome
from services.execution.engines.qulacs import distribution
from services.execution.engines.readout import check_memory, labels, readout_of
from services.execution.engines.sampling import generator, hellinger_fidelity, is_comparable, shuffled
from services.execution.live.compiling import compiled, digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.engine import Method
    from services.execution.live.target import Compiled, Reading, Target
    from services.execution.programs.program import Program


class CircuitsNeeded(Exception):
    """The algorithm cannot go on before a machine has answered these."""

    def __init__(self, circuits: Sequence[Compiled]) -> None:
        """Keep the circuits, in the order in which they were asked for."""
        super().__init__(f"{len(circuits)} circuits are needed")
        self.circuits = tuple(circuits)


class ReplayDevice:
    """A machine by the answers that it has given; see `Device`."""

    ideal = False

    def __init__(self, provider: str, target: Target, readings: Sequence[Reading]) -> None:
        """Answer with `readings`, in order; `provider` is what computes, in the signed record."""
        self.engine = provider
        self.engine_version = target.device[:64]
        self.calibration_id = target.calibration_id
        self._target = target
        self._readings = readings
        self._asked = 0

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """Ask for all that nobody has answered yet; see `Device.expect`. Raises CircuitsNeeded."""
        new = programs[max(0, len(self._readings) - self._asked) :]
        if new:
            raise CircuitsNeeded([compiled(each, shots, self._target, digest_of(each, shots)) for each, shots in new])

    def run(  # what a caller may ask of a run, each part one thing
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """The answer to a circuit; see `Device.run`. Raises CircuitsNeeded where there is none yet."""
        del with_probabilities  # a machine does not know them
        digest = digest_of(program, shots)
        if self._asked >= len(self._readings):
            raise CircuitsNeeded([compiled(program, shots, self._target, digest)])
        reading = self._readings[self._asked]
        self._asked += 1
        if reading.digest != digest:
            raise AlgorithmError("the algorithm asked the machine something else than before; tell us the job's id")
        rows = np.array([[int(bit) for bit in reversed(bits)] for bits in sorted(reading.counts)], dtype=np.uint8)
        numbers = np.array([reading.counts[bits] for bits in sorted(reading.counts)])
        counts = dict(zip(labels(program, rows), numbers.tolist(), strict=True))
        if with_memory:
            check_memory(program, int(numbers.sum()))
        fidelity, how = _fidelity(program, rows, numbers, reading)
        return Outcome(
            counts=counts,
            probabilities=None,
            shots=sum(counts.values()),
            seed=seed,
            engine=self.engine,
            engine_version=self.engine_version,
            method=cast("Method", ""),  # it simulates by none
            duration_ms=reading.seconds * 1e3,
            fidelity=fidelity,
            fidelity_method=how,
            memory=shuffled(counts, generator(seed, "memory")) if with_memory else None,
        )

    def statevector(self, circuit: QuantumCircuit) -> NoReturn:
        """A machine has no amplitudes to tell."""
        del circuit
        raise EngineError("UNSUPPORTED", "a machine has no state vector to tell; choose a simulator")


def _fidelity(
    program: Program, rows: NDArray[np.uint8], numbers: NDArray[np.int64], reading: Reading
) -> tuple[float, FidelityMethod]:
    """Of what the machine gave, compared with the exact distribution where that can be had; else as predicted."""
    if program.features.active_qubits <= COMPARABLE_QUBITS:
        readout = readout_of(program.tape)
        exact = distribution(program.tape, readout)
        if is_comparable(exact, int(numbers.sum())):
            return hellinger_fidelity(exact, readout.indices(rows), numbers), "ideal_comparison"
    if reading.fidelity is not None:
        return reading.fidelity, "calibration_estimate"
    return 0.0, "unknown"
