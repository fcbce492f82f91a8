"""An algorithm of the catalogue as a job runs it, for the tests of each.

`python -m tests.unit.execution.marketplace ID...` writes the results of examples anew.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from services.execution.algorithms.algorithm import AlgorithmResult
from services.execution.algorithms.facts import BUILTIN_CATALOGUE, AlgorithmId
from services.execution.algorithms.listing import Algorithm, load_catalogue
from services.execution.engines.device import Device, Simulator
from services.execution.engines.engine import Outcome
from services.execution.programs.features import Features
from services.execution.programs.program import Program
from tests.unit.execution.devices import simulator

SHOTS, SEED = 4096, 7
"""Of the examples."""


class Job:
    """Runs one algorithm with what its schema fills in, and checks its results against their schema."""

    def __init__(self, algorithm_id: str) -> None:
        self.algorithm: Algorithm = load_catalogue()[AlgorithmId(algorithm_id)]
        self._runner = self.algorithm.facts.load_runner()
        self._describer = self.algorithm.facts.load_describer()

    def features(self, parameters: object) -> Features:
        return self._describer.features(self.algorithm.checked(parameters))

    def done(
        self, parameters: object, *, device: Device | None = None, shots: int = SHOTS, seed: int = SEED
    ) -> AlgorithmResult:
        steps: list[float] = []
        done = self._runner.run(
            self.algorithm.checked(parameters),
            device=device or simulator("statevector"),
            shots=shots,
            seed=seed,
            progress=lambda part, _: steps.append(part),
        )
        assert steps == sorted(steps)
        assert (steps[0], steps[-1]) == (0.0, 1.0)
        self.algorithm.result.checked(json.loads(json.dumps(done.result)), "result")
        return done

    def run(self, parameters: object, **how: Any) -> Mapping[str, Any]:
        return self.done(parameters, **how).result

    def check_example(self) -> None:
        """The example is what the code gives, to rounding, with its seed and no other."""
        example = self.algorithm.example
        found = self.run(example["request"])
        assert json.loads(json.dumps(found)) == close_to(example["result"])
        assert self.run(example["request"], seed=SEED + 1) != found


class Noisy(Simulator):
    """A simulator that replaces a share of each circuit's shots by bits at random."""

    ideal = False

    def __init__(self, share: float) -> None:
        inner = simulator("statevector")
        super().__init__(inner._engine, inner._method)
        self._share = share

    def run(self, program: Program, *, shots: int, seed: int, **how: bool) -> Outcome:
        clean = super().run(program, shots=shots, seed=seed, **how)
        random = np.random.default_rng(seed)
        counts: dict[str, int] = {}
        for text, count in clean.counts.items():
            lost = int(random.binomial(count, self._share))
            counts[text] = counts.get(text, 0) + count - lost
            for value in random.integers(0, 1 << len(text), lost):
                other = f"{value:0{len(text)}b}"
                counts[other] = counts.get(other, 0) + 1
        kept = {text: count for text, count in counts.items() if count}
        members = {name: getattr(clean, name) for name in clean.__slots__}
        return Outcome(
            **{**members, "counts": kept, "fidelity": 1 - self._share, "fidelity_method": "calibration_estimate"}
        )


def close_to(value: Any) -> Any:
    """The same value, its numbers to six digits: libraries round as processors do."""
    if isinstance(value, dict):
        return {name: close_to(member) for name, member in value.items()}
    if isinstance(value, list):
        return [close_to(member) for member in value]
    return pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value


def write_example(algorithm_id: str) -> None:
    """Write the result of an algorithm's example anew, where its code or an engine's sampling has changed."""
    job = Job(algorithm_id)
    request = job.algorithm.example["request"]
    text = json.dumps({"request": request, "result": job.run(request)}, indent=2, ensure_ascii=False)
    (BUILTIN_CATALOGUE / algorithm_id / "example.json").write_text(text, "utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_example(name)
