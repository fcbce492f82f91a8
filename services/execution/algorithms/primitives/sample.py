"""circuit.sample.v1: several circuits, or one with several sets of inputs, each sampled by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms import picture
from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.algorithms.circuit import amplitudes, told_of
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.primitives.circuits import NamedCircuit, circuits_from
from services.execution.algorithms.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device
    from services.execution.engines.engine import Outcome

LARGEST_TEXT = 48 * 2**20
"""Bytes of bit strings in a result, about: a worker takes 64 MiB from its engines."""
_SHOWN = 16
"""Outcomes in the picture, the most frequent first."""


class SampleRunner:
    """Samples circuits."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Run every circuit with `shots` shots; see `Runner.run`."""
        progress(0.0, "parsing")
        wishes, frequencies = Wishes.of(parameters), bool(parameters.get("quasi_probabilities", True))
        wishes.check(device)
        circuits = circuits_from(parameters)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="sample")
        results: list[dict[str, Any]] = []
        text = 0
        experiment.expect([(circuit.bound.program, shots) for circuit in circuits])
        for number, circuit in enumerate(circuits):
            progress(0.1 + 0.9 * number / len(circuits), f"circuit {number + 1} of {len(circuits)}")
            program = circuit.bound.program
            outcome = experiment.run(program, with_probabilities=wishes.probabilities, with_memory=wishes.memory)
            text += _text_bytes(outcome, copies=1 + frequencies)
            if text > LARGEST_TEXT:
                message = (
                    f"the bit strings of the first {number + 1} of {len(circuits)} circuits have {text} bytes; "
                    f"{LARGEST_TEXT} are allowed: use fewer shots, or ask for no memory or quasi_probabilities"
                )
                raise AlgorithmError(message)
            state = amplitudes(program, device) if wishes.statevector else None
            results.append(_told(circuit, outcome, state, frequencies=frequencies))
        progress(1.0, "done")
        return experiment.result({"results": results, "picture": _picture(results[0])})


def _told(
    circuit: NamedCircuit, outcome: Outcome, state: list[list[float]] | None, *, frequencies: bool
) -> dict[str, Any]:
    told = told_of(circuit.bound.program, outcome, state)
    shares = {text: count / outcome.shots for text, count in outcome.counts.items()}
    return {
        "circuit_index": circuit.index,
        "name": circuit.name,
        "input_set": circuit.bound.input_set,
        "inputs": dict(circuit.bound.inputs),
        "quasi_probabilities": shares if frequencies else None,
        "seed": str(outcome.seed),
        "fidelity": min(1.0, outcome.fidelity),
        "fidelity_method": outcome.fidelity_method,
        **told,
    }


def _text_bytes(outcome: Outcome, *, copies: int) -> int:
    """Return about how many bytes the outcomes of a circuit take in a result, `copies` times and once a shot."""
    length = len(next(iter(outcome.counts), "")) + len('"":0.0001,')
    return length * (copies * len(outcome.counts) + len(outcome.memory or ()))


def _picture(first: Mapping[str, Any]) -> str:
    counts: Mapping[str, int] = first["counts"]
    ranked = sorted(counts, key=lambda text: (-counts[text], text))[:_SHOWN]
    return picture.bars(
        f"Outcomes of {first['name']}",
        f"Share of the shots of the {len(ranked)} most frequent outcomes of the first circuit.",
        ranked,
        [picture.Bars("share", [counts[text] / first["shots"] for text in ranked])],
        axis="share of shots",
    )
