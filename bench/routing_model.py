"""Measure how long Aer takes for circuits of many shapes, and fit the seconds of each kind of step.

    .venv/bin/python bench/routing_model.py            # five minutes on one core; prints the tables for catalogue.toml

Each method runs circuits of its own kind on one thread, as the workers do. What counts is CPU time, the least of three
runs: the duration on an undisturbed machine, whoever else is busy. The fit is a robust least squares of the error of
log(predicted / measured) with no negative seconds; `spread_p90` is the 90th percentile of measured / predicted, with
which routing widens its prediction.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import qiskit_aer
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from scipy.optimize import least_squares, nnls

from services.routing.method import COMPARED_QUBITS, Method, Steps, steps
from services.routing.program import Features

REPEATS = 3
NEGLIGIBLE = 1e-6  # seconds
CLIFFORD_PAIRS = ("cx", "cz")
SHAPES = {
    Method.STATEVECTOR: ((2, 6, 10, 14, 16, 18, 20, 21, 22), (2, 8, 24)),
    Method.STABILIZER: ((2, 10, 30, 60, 100, 180, 256), (2, 8, 24)),
    Method.MATRIX_PRODUCT_STATE: ((2, 10, 20, 40, 70, 100), (2, 4, 6, 8, 10, 12, 14)),
}
"""Qubits and layers of the brick circuits of each method."""
MPS_DEEP, MPS_NARROW = 10, 20  # more layers than this only up to so many qubits: a run takes a minute beyond


@dataclass(frozen=True)
class Case:
    """A circuit, its features, and how often it is sampled."""

    circuit: QuantumCircuit
    features: Features
    shots: int


def brick(n: int, layers: int, *, clifford: bool, seed: int = 7) -> QuantumCircuit:
    """Layers of random one-qubit gates and a brick wall of two-qubit gates."""
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    for layer in range(layers):
        for qubit in range(n):
            if clifford:
                getattr(circuit, ("h", "s", "sx", "x")[random.integers(4)])(qubit)
            else:
                circuit.u(*random.uniform(0, 3, 3), qubit)
        for qubit in range(layer % 2, n - 1, 2):
            getattr(circuit, CLIFFORD_PAIRS[layer % 2])(qubit, qubit + 1)
    return circuit


def case(circuit: QuantumCircuit, shots: int, *, clifford: bool, dynamic: bool = False) -> Case:
    """A circuit with its features; the gates on two qubits must be on neighbours."""
    crossings = np.zeros(max(circuit.num_qubits - 1, 1), dtype=int)
    gates = [item for item in circuit.data if item.name not in {"measure", "reset", "barrier"}]
    wide = [item for item in gates if len(item.qubits) > 1]
    for item in wide:
        crossings[min(circuit.find_bit(qubit).index for qubit in item.qubits)] += 1
    n = circuit.num_qubits
    bound = max(min(int(count), cut + 1, n - cut - 1) for cut, count in enumerate(crossings)) if n > 1 else 0
    features = Features(
        n, circuit.num_clbits, circuit.depth(), len(gates), len(wide),
        clifford=clifford, dynamic=dynamic, entanglement_bound=bound,
    )  # fmt: skip
    return Case(circuit, features, shots)


def with_midway(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit once more after measuring its first qubit, on which a gate depends."""
    first = circuit.copy()
    first.measure(0, 0)
    with first.if_test((first.clbits[0], 1)):
        first.x(1)
    return first.compose(circuit)


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with every qubit measured."""
    whole = circuit.copy()
    whole.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    return whole


def cases(method: Method) -> Iterator[Case]:
    """The circuits that a method is measured on."""
    widths, layers = SHAPES[method]
    clifford = method is Method.STABILIZER
    for n in widths:
        for depth in layers:
            if method is Method.MATRIX_PRODUCT_STATE and depth > MPS_DEEP and n > MPS_NARROW:
                continue
            circuit = brick(n, depth, clifford=clifford)
            for shots in (16, 1024, 8192) if n <= widths[2] else (1024,):
                yield case(circuit, shots, clifford=clifford)
            if n <= widths[2] and depth <= layers[1]:
                yield case(with_midway(circuit), 1024, clifford=clifford, dynamic=True)


def runner(method: Method) -> Callable[[Case], None]:
    """Runs a case as a worker would."""
    simulator = AerSimulator(
        method=str(method), max_parallel_threads=1, shot_branching_enable=True, shot_branching_sampling_enable=True
    )

    def run(one: Case) -> None:
        exact = method is Method.STATEVECTOR and one.features.qubit_count <= COMPARED_QUBITS
        if not exact or one.features.dynamic:
            assert simulator.run(measured(one.circuit), shots=one.shots, seed_simulator=11).result().success
            return
        circuit = one.circuit.copy()
        circuit.save_probabilities(range(circuit.num_qubits))
        cumulative = np.cumsum(simulator.run(circuit, shots=1).result().data(0)["probabilities"])
        np.unique(np.searchsorted(cumulative, np.random.default_rng(3).random(one.shots)), return_counts=True)

    return run


def seconds(run: Callable[[Case], None], one: Case) -> float:
    """The least CPU time of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run(one)
        times.append(time.process_time() - start)
        if times[-1] > 1.0:
            break
    return min(times)


def fitted(design: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Seconds of each kind of step, at least 0, with the least robust error of log(predicted / measured)."""
    scale = design.max(axis=0)
    start, _ = nnls(design / scale / times[:, None], np.ones(len(times)))

    def error(logs: np.ndarray) -> np.ndarray:
        return np.log(design / scale @ np.exp(logs) / times)

    logs = least_squares(error, np.log(np.maximum(start, 1e-7 * start.max())), loss="soft_l1", f_scale=0.2).x
    most = np.exp(logs)  # seconds that each kind of step contributes to any circuit, at most
    return np.where(most < NEGLIGIBLE, 0.0, most / scale)


def fit(method: Method) -> None:
    """Measure a method, fit it and print its table."""
    names = Steps.__struct_fields__
    run = runner(method)
    measured_cases = list(cases(method))
    run(measured_cases[0])
    times = np.array([seconds(run, one) for one in measured_cases])
    counted = [steps(method, one.features, one.shots) for one in measured_cases]
    design = np.array([[getattr(row, name) for name in names] for row in counted])
    per_step = fitted(design, times)
    ratio = times / (design @ per_step)
    low, middle, high = np.quantile(ratio, (0.1, 0.5, 0.9))
    print(f"\n[paces.{method}]")
    print(f"# {len(times)} circuits; measured / predicted: 10 % {low:.2f}, median {middle:.2f}, 90 % {high:.2f}")
    print(f"spread_p90 = {max(1.0, high):.2f}\n\n[paces.{method}.seconds]")
    for name, value in zip(names, per_step, strict=True):
        print(f"{name} = {value:.3g}")
    if os.environ.get("VERBOSE"):
        for one, taken, off in zip(measured_cases, times, ratio, strict=True):
            f = one.features
            shape = f"n={f.qubit_count} gates={f.gate_count} bond={f.bond_bits} dynamic={f.dynamic} shots={one.shots}"
            print(f"# {shape} {taken * 1e3:.2f} ms x{off:.2f}")


def main() -> None:
    """Fit every method."""
    today = dt.datetime.now(dt.UTC).date()
    print(f"# qiskit-aer {qiskit_aer.__version__}, one thread, {platform.processor() or platform.machine()}, {today}")
    for method in Method:
        fit(method)


if __name__ == "__main__":
    main()
