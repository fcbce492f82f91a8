"""hhl.linear.v1 from parameters to result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms import picture
from services.execution.algorithms.experiment import Experiment
from services.execution.algorithms.hhl.circuit import readout_circuits, settings_of
from services.execution.algorithms.hhl.reading import Reading, overlap
from services.execution.algorithms.hhl.system import System, system_from
from services.execution.engines.sampling import generator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.engines.device import Device

_REAL = 1e-9
_PRECOMPUTED = (
    "The eigenvalues and eigenvectors of the matrix, from which the powers of its evolution, the scale of the clock "
    "and the condition number were made, and the phase of the solution. They solve the system already, so this shows "
    "how the algorithm works and no advantage over a classical computer."
)


class HhlRunner:
    """Solves linear systems."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Solve, and read the solution out by tomography with `shots` shots for each setting; see `Runner.run`."""
        progress(0.0, "building the circuits")
        system = system_from(parameters)
        circuits = readout_circuits(system)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="hhl")
        counts = experiment.counts(circuits, done=lambda part: progress(0.1 + 0.8 * part, "solving"))
        kept = {
            setting: _succeeded(system, texts)
            for setting, texts in zip(settings_of(system.qubits), counts, strict=True)
        }
        progress(0.9, "reading the solution")
        reading = Reading.of(system, kept, shots * len(circuits))
        errors = reading.errors(generator(seed, "hhl.bootstrap"))
        progress(1.0, "done")
        return experiment.result({**_result(reading, *errors), "circuit": experiment.circuit})


def _succeeded(system: System, texts: Mapping[str, int]) -> dict[int, int]:
    """Return the counts of x's qubits where the qubit of success is 1 and the clock is back at 0."""
    success = 1 << system.clock
    values = ((int(text, 2), count) for text, count in texts.items())
    return {
        value & (1 << system.qubits) - 1: count for value, count in sorted(values) if value >> system.qubits == success
    }


def _result(reading: Reading, spread: NDArray[np.float64], fidelity_error: float) -> dict[str, Any]:
    system, exact = reading.system, reading.system.solution
    prepared = system.prepared()
    return {
        "qubits": system.qubits,
        "clock_qubits": system.clock,
        "condition_number": system.condition,
        "solution": _pairs(reading.solution),
        "solution_standard_error": spread.tolist(),
        "fidelity": reading.fidelity,
        "fidelity_standard_error": fidelity_error,
        "fidelity_theory": overlap(prepared, exact),
        "relative_error": float(np.linalg.norm(reading.solution - exact) / np.linalg.norm(exact)),
        "residual": reading.residual,
        "success_probability": {
            "measured": reading.success,
            "standard_error": math.sqrt(reading.success * (1 - reading.success) / reading.shots),
            "theory": min(1.0, float(np.linalg.norm(prepared)) ** 2),
        },
        "tomography": {"settings": len(reading.kept), "largest_eigenvalue": reading.purity},
        "reference": {"best_classical": {"method": "LU decomposition", "solution": _pairs(exact)}},
        "precomputed": _PRECOMPUTED,
        "picture": _picture(reading, spread),
    }


def _pairs(vector: NDArray[np.complex128]) -> list[list[float]]:
    return [[float(one.real), float(one.imag)] for one in vector]


def _picture(reading: Reading, spread: NDArray[np.float64]) -> str:
    exact = reading.system.solution
    real = bool(np.abs(exact.imag).max() <= _REAL * np.abs(exact).max())
    found, expected = (one.real if real else np.abs(one) for one in (reading.solution, exact))
    return picture.bars(
        "Solution of the linear system",
        f"The {'elements' if real else 'sizes of the elements'} of x as measured, with their errors, and exact.",
        [f"x{index}" for index in range(len(exact))],
        [
            picture.Bars("measured", found.tolist(), errors=spread.tolist()),
            picture.Bars("exact", expected.tolist()),
        ],
        axis="element" if real else "size of the element",
    )
