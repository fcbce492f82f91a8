"""circuit.openqasm.v1: any OpenQASM circuit, run as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import AlgorithmError, AlgorithmResult
from services.execution.algorithms.openqasm import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import Progress
    from services.execution.engines.device import Device
    from services.execution.engines.engine import Outcome
    from services.execution.programs.program import Program

_LARGEST_COUNTS = 16 * 2**20
"""Bytes of counts as JSON: more could not be signed, stored and sent as one answer."""


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
        progress(0.0, "parsing")
        program = parsed(parameters)
        progress(0.1, "running")
        wanted = bool(parameters.get("probabilities", False))
        outcome = device.run(program, shots=shots, seed=seed, with_probabilities=wanted)
        _check_size(program, outcome)
        progress(1.0, "done")
        return AlgorithmResult(
            result=_result(program, outcome),
            fidelity=outcome.fidelity,
            fidelity_method=outcome.fidelity_method,
            qubits_used=program.features.active_qubits,
        )


def _check_size(program: Program, outcome: Outcome) -> None:
    size = len(outcome.counts) * (program.features.num_clbits + len(program.registers) + len('"":000000,'))
    if size > _LARGEST_COUNTS:
        message = f"the counts of {len(outcome.counts)} outcomes are about {size} bytes; {_LARGEST_COUNTS} are allowed"
        raise AlgorithmError(message)


def _result(program: Program, outcome: Outcome) -> dict[str, Any]:
    features = program.features
    return {
        "counts": dict(outcome.counts),
        "probabilities": None if outcome.probabilities is None else dict(outcome.probabilities),
        "shots": outcome.shots,
        "openqasm_version": program.version,
        "registers": [{"name": name, "size": size} for name, size in program.registers],
        "circuit": {
            "num_qubits": features.num_qubits,
            "num_clbits": features.num_clbits,
            "depth": features.depth,
            "gates": features.gate_count,
            "two_qubit_gates": features.two_qubit_gate_count,
            "clifford": features.clifford,
            "dynamic": features.dynamic,
        },
        "notes": list(program.notes),
    }
