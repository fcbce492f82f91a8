"""The circuits of one job, run on its device: seeds far apart, and what all outcomes together say of the device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from services.execution.algorithms.algorithm import AlgorithmError, AlgorithmResult, ParameterError
from services.execution.engines.seeds import spread_seed
from services.execution.programs.circuit import program_of
from services.execution.programs.errors import ProgramError
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qiskit import QuantumCircuit

    from services.execution.engines.device import Device, RunWishes
    from services.execution.engines.engine import FidelityMethod, Outcome
    from services.execution.programs.features import Features
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

_LIMITS = Limits()


class Experiment:
    """Runs circuits of one classical register each, every one with `shots` shots and its own seed.

    The n-th circuit's seed depends on the job's seed, the purpose and n alone, so that a job which is run again asks
    its device the same questions in the same order.
    """

    def __init__(self, device: Device, *, shots: int, seed: int, purpose: str) -> None:
        """Run on `device`; `purpose` keeps the seeds apart from those of another part of the job."""
        self._device = device
        self._shots = shots
        self._seed = seed
        self._purpose = purpose
        self._outcomes: list[Outcome] = []
        self._largest: Features | None = None

    def counts(
        self,
        circuits: Sequence[QuantumCircuit],
        shots: Sequence[int] | None = None,
        *,
        done: Callable[[float], None] = lambda _part: None,
    ) -> list[Mapping[str, int]]:
        """Return the counts of each circuit, bit 0 rightmost; `shots` gives each its own number.

        `done` is told the part that has been run. Raises ParameterError, where one is too long, and EngineError.
        """
        programs = [program_from(circuit) for circuit in circuits]
        pairs = list(zip(programs, shots or [self._shots] * len(programs), strict=True))
        self.expect(pairs)
        counts = []
        for place, (program, share) in enumerate(pairs):
            done(place / len(programs))
            counts.append(self.run(program, shots=share).counts)
        return counts

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """Tell the device what is run next, with how many shots; see `Device.expect`."""
        self._device.expect(programs)

    def run(self, program: Program, *, shots: int | None = None, **wishes: Unpack[RunWishes]) -> Outcome:
        """Run a program as the next circuit, with `shots` shots in place of everyone's. Raises EngineError."""
        seed = spread_seed(self._seed, f"{self._purpose}:{len(self._outcomes)}")
        outcome = self._device.run(program, shots=shots or self._shots, seed=seed, **wishes)
        self._outcomes.append(outcome)
        if self._largest is None or program.features.gate_count > self._largest.gate_count:
            self._largest = program.features
        return outcome

    @property
    def circuit(self) -> dict[str, int]:
        """Return the measures of the largest circuit that was run, as results tell them."""
        return described(self._measures())

    def _measures(self) -> Features:
        if self._largest is None:
            raise AlgorithmError("no circuit was run")
        return self._largest

    def result(self, result: Mapping[str, Any]) -> AlgorithmResult:
        """Return the job's result, with the mean fidelity of the circuits whose fidelity was measured or predicted."""
        judged = [outcome for outcome in self._outcomes if outcome.fidelity_method != "exact"]
        method: FidelityMethod = judged[0].fidelity_method if judged else "exact"
        alike = [outcome.fidelity for outcome in judged if outcome.fidelity_method == method]
        fidelity = sum(alike) / len(alike) if alike else 1.0
        return AlgorithmResult(result, fidelity, method, self._measures().active_qubits)


def program_from(circuit: QuantumCircuit) -> Program:
    """Return the program of a circuit that parameters led to. Raises ParameterError where it is too long."""
    try:
        return program_of(circuit, _LIMITS)
    except ProgramError as error:
        raise ParameterError("parameters", f"the circuit is too long: {error.message}", error.reason) from error


def described_from(circuit: QuantumCircuit, *, circuits: int = 1, classical_ms: float) -> tuple[Features, Tape]:
    """Return the features of a job that runs a number of circuits like this one, and its tape.

    Raises ParameterError.
    """
    program = program_from(circuit)
    return replace(program.features, circuit_count=circuits, classical_ms=classical_ms), program.tape


def described(features: Features) -> dict[str, int]:
    """Return the measures of a circuit as results tell them."""
    return {
        "qubits": features.active_qubits,
        "depth": features.depth,
        "gates": features.gate_count,
        "two_qubit_gates": features.two_qubit_gate_count,
    }
