"""Twins against what one writes by hand: NoiseModel.from_backend and AerSimulator on the whole machine.

    python -m bench.twins            the ratios on a 156-qubit twin, and how far the counts are apart
    python -m bench.twins --model    how right routing's prediction of time and fidelity is

One thread each. "By hand" is `transpile`, a noise model of the whole machine, and a run of the same shots; `again` is a
second run, which makes no new noise model. Distances are total variations; `bound` is what counts of one distribution
stay within but for one time in 10^9 (tests/unit/execution/twins/test_twin.py).
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Iterator
from statistics import quantiles

from qiskit import transpile
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime.fake_provider import FakeMarrakesh

from mesh.config import load
from services.execution.programs.program import Program
from services.execution.twins import prediction
from services.execution.twins.shelf import snapshot
from services.execution.twins.twin import Twin
from services.routing.catalogue import CATALOGUE_FILE, Catalogue
from services.routing.predict import fidelity
from services.routing.program import Features
from services.routing.twin import with_twins
from tests.unit.execution.twins.programs import bricks, fourier, ghz
from tests.unit.execution.twins.test_twin import farthest, total_variation

DEVICE = "ibm_marrakesh"
SHOTS = 4096
NARROW = {
    "bell": ghz(2),
    "ghz 5": ghz(5),
    "qft 5": fourier(5),
    "ghz 8": ghz(8),
    "brick 8": bricks(8, 4),
    "qft 8": fourier(8),
}
WIDE = {"ghz 20": ghz(20), "brick 20": bricks(20, 3), "ghz 60": ghz(60), "ghz 100": ghz(100)}
MODEL_DEVICES = ("ibm_marrakesh", "ibm_brisbane", "ibm_lagos", "iqm_garnet", "quantinuum_h2", "rigetti_ankaa_3")
REPEATS = 5


def seconds(run: Callable[[], object]) -> float:
    """The least of some runs."""
    best = math.inf
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def compare() -> None:
    """Print the table of ratios."""
    twin = Twin(snapshot(DEVICE), threads=1, memory_limit=2**30)
    twin.run(ghz(2), shots=16, seed=0)
    backend = FakeMarrakesh()
    started = time.perf_counter()
    model = NoiseModel.from_backend(backend)
    making = time.perf_counter() - started
    print(f"{DEVICE}, {SHOTS} shots; by hand the noise model of the whole machine alone takes {making:.2f} s")
    print("program    twin ms  by hand ms   ratio  again ms   ratio  distance   bound")
    for name, program in NARROW.items():
        ours = seconds(functools.partial(twin.run, program, shots=SHOTS, seed=1))
        started = time.perf_counter()
        fitted = transpile(program.circuit, backend, seed_transpiler=1)
        simulator = AerSimulator(noise_model=model, max_parallel_threads=1)
        simulator.run(fitted, shots=SHOTS, seed_simulator=1).result().get_counts()
        again = time.perf_counter() - started
        whole = making + again
        distance, bound = _distance(twin, simulator, program)
        print(
            f"{name:8}{1e3 * ours:10.1f}{1e3 * whole:12.0f}{whole / ours:8.0f}{1e3 * again:10.0f}{again / ours:8.0f}"
            f"{distance:10.4f}{bound:8.4f}"
        )
    for name, program in WIDE.items():
        ours = seconds(functools.partial(twin.run, program, shots=SHOTS, seed=1))
        print(f"{name:8}{1e3 * ours:10.1f}")


def _distance(twin: Twin, simulator: AerSimulator, program: Program) -> tuple[float, float]:
    """How far the twin's counts are from those of the whole machine's noise model, and the bound."""
    outcome = twin.run(program, shots=SHOTS, seed=1)
    if outcome.transpiled is None:
        raise ValueError("a twin's outcome has the circuit that ran")
    theirs = simulator.run(outcome.transpiled.circuit, shots=SHOTS, seed_simulator=3).result().get_counts()
    return total_variation(outcome.counts, theirs), farthest(2**program.features.num_clbits, SHOTS, SHOTS)


def programs() -> Iterator[Program]:
    """Programs of several shapes and sizes."""
    yield from (ghz(n) for n in (2, 4, 7, 12, 20))
    yield from (fourier(n) for n in (3, 5, 7, 9))
    yield from (bricks(n, depth) for n, depth in ((3, 6), (5, 2), (5, 8), (7, 4), (12, 3), (20, 2)))


def check_model() -> None:
    """Print how routing's predictions compare with runs."""
    backends = with_twins(load(CATALOGUE_FILE, Catalogue))
    ratios: list[float] = []
    errors: list[float] = []
    within: list[bool] = []
    for device in MODEL_DEVICES:
        twin = Twin(snapshot(device), threads=1, memory_limit=2**30)
        backend = backends.find(device)
        if backend is None or backend.calibration is None:
            raise LookupError(f"routing has no twin {device}")
        twin.run(ghz(2), shots=16, seed=0)
        for program in programs():
            measures = program.features
            if measures.active_qubits > backend.calibration.working_qubit_count:
                continue
            known = Features(
                qubit_count=measures.active_qubits,
                clbit_count=measures.num_clbits,
                depth=measures.depth,
                gate_count=measures.gate_count,
                two_qubit_gate_count=measures.two_qubit_gate_count,
                clifford=measures.clifford,
                dynamic=measures.dynamic,
                entanglement_bound=measures.cut_rank_bits,
            )
            low, middle, high = fidelity(backend.calibration, known)
            started = time.process_time()
            outcome = twin.run(program, shots=100_000, seed=1)
            ratios.append((time.process_time() - started) / prediction.seconds(measures, 100_000))
            if outcome.fidelity_method == "ideal_comparison" or measures.active_qubits <= 12:
                errors.append(abs(outcome.fidelity - middle))
                within.append(low <= outcome.fidelity <= high)
                if not within[-1] or "-v" in sys.argv:
                    print(
                        f"{device} {measures.active_qubits} q {measures.two_qubit_gate_count} pairs: "
                        f"{outcome.fidelity:.3f}, predicted {low:.3f} {middle:.3f} {high:.3f}"
                    )
    cuts = quantiles(ratios, n=10)
    print(
        f"time, {len(ratios)} runs: measured / predicted 10 % {cuts[0]:.2f}, median {cuts[4]:.2f}, 90 % {cuts[8]:.2f}"
    )
    print(
        f"fidelity, {len(errors)} runs: mean absolute error {sum(errors) / len(errors):.3f}, within the bounds "
        f"{sum(within) / len(within):.2f}"
    )


if __name__ == "__main__":
    if "--model" in sys.argv:
        check_model()
    else:
        compare()
