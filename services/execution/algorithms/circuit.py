"""circuit.openqasm.v1: any OpenQASM circuit, run as it is. And how a circuit's outcome is told, by whatever ran it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import AlgorithmResult
from services.execution.algorithms.openqasm import program_in
from services.execution.algorithms.wishes import Wishes
from services.execution.programs.circuit import unmeasured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import Progress
    from services.execution.engines.device import Device
    from services.execution.engines.engine import Outcome
    from services.execution.programs.features import Features
    from services.execution.programs.program import Program


class CircuitRunner:
    """Runs circuits."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Run the circuit; see `Runner.run`."""
        progress(0.0, "running")
        program = program_in(parameters)
        wishes = Wishes.of(parameters)
        wishes.check(device)
        outcome = device.run(
            program,
            shots=shots,
            seed=seed,
            with_probabilities=wishes.probabilities,
            with_memory=wishes.memory,
        )
        told = told_of(program, outcome, amplitudes(program, device) if wishes.statevector else None)
        progress(1.0, "done")
        return AlgorithmResult(
            result=told,
            fidelity=outcome.fidelity,
            fidelity_method=outcome.fidelity_method,
            qubits_used=program.features.active_qubits,
        )


def told_of(program: Program, outcome: Outcome, state: list[list[float]] | None) -> dict[str, Any]:
    """Return what a result says of a circuit and its outcome; what was not asked for, or is not known, is null."""
    return {
        "counts": dict(outcome.counts),
        "probabilities": None if outcome.probabilities is None else dict(outcome.probabilities),
        "memory": None if outcome.memory is None else list(outcome.memory),
        "statevector": state,
        "shots": outcome.shots,
        "openqasm_version": program.version,
        "registers": [{"name": name, "size": size} for name, size in program.registers],
        "circuit": measures(program.features),
        "notes": list(program.notes),
    }


def measures(features: Features) -> dict[str, Any]:
    """Return what a result says of the circuit that was sent."""
    return {
        "num_qubits": features.num_qubits,
        "num_clbits": features.num_clbits,
        "depth": features.depth,
        "gates": features.gate_count,
        "two_qubit_gates": features.two_qubit_gate_count,
        "clifford": features.clifford,
        "dynamic": features.dynamic,
    }


def amplitudes(program: Program, device: Device) -> list[list[float]]:
    """Return the state before the measurements at the end of a circuit that is not dynamic.

    The k-th entry is the real and the imaginary part of the amplitude of the basis state k, qubit 0 its lowest bit.
    Raises EngineError.
    """
    state = device.statevector(unmeasured(program.circuit))
    return [[float(amplitude.real), float(amplitude.imag)] for amplitude in state]
