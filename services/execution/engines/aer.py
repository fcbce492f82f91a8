"""Qiskit Aer, warm, on a fixed number of threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import qiskit_aer
from qiskit.circuit import QuantumCircuit
from qiskit_aer import AerError, AerSimulator

from services.execution.engines.engine import (
    COMPARABLE_QUBITS,
    MOST_PROBABILITIES,
    Capabilities,
    EngineError,
    FidelityMethod,
    Method,
    Outcome,
    memory_bytes,
)
from services.execution.engines.memory import available_memory
from services.execution.engines.readout import bit_string, check_memory, readout_of
from services.execution.engines.sampling import (
    IMPOSSIBLE,
    generator,
    hellinger_fidelity,
    is_comparable,
    sample,
    shuffled,
)
from services.execution.engines.seeds import spread_seed
from services.execution.programs.clifford import GENERATORS, clifford_form
from services.execution.programs.flatten import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from services.execution.programs.program import Program

ENGINE = "qiskit-aer"
_WIDEST: Mapping[Method, int] = {
    "statevector": 29,
    "stabilizer": 256,
    "matrix_product_state": 100,
    "density_matrix": 14,
}
_AMPLITUDE_BYTES = 16
_NOT_REWRITTEN = GENERATORS | {"measure", "reset", "barrier", "delay", "break_loop", "continue_loop"}


class AerEngine:
    """Noise-free simulation by state vector, density matrix, stabilizer tableau or matrix product state.

    `threads` bounds the threads of a run. `memory_limit` bounds, in bytes, what a run may need (see `memory_bytes`); it
    is half of what this process may have unless given.
    """

    def __init__(self, *, threads: int, memory_limit: int | None = None) -> None:
        """Make the simulators, once for all runs."""
        self._memory_limit = memory_limit = memory_limit or available_memory() // 2
        self._simulators = {
            method: AerSimulator(
                method=method,
                max_parallel_threads=threads,
                max_memory_mb=max(1, memory_limit // 2**20),
                shot_branching_enable=True,
                shot_branching_sampling_enable=True,
                enable_truncation=False,  # it drops jump targets after the last measurement; `_compact` does its work
            )
            for method in _WIDEST
        }

    @property
    def capabilities(self) -> Capabilities:
        """Return the widest circuits that fit the memory limit; a matrix product state also depends on the gates."""
        widest = dict(_WIDEST)
        bits = (self._memory_limit // (_AMPLITUDE_BYTES + 1)).bit_length() - 1
        widest["statevector"] = min(widest["statevector"], bits)
        widest["density_matrix"] = min(widest["density_matrix"], bits // 2)
        return Capabilities(ENGINE, qiskit_aer.__version__, widest, dynamic=frozenset(widest))

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
        """Run a program and sample it; see `Engine.run`.

        A state vector of at most 20 active qubits without mid-circuit operations is simulated once to its exact
        distribution, which is then sampled here; everything else Aer samples. Raises EngineError.
        """
        self._check(program, method)
        if with_memory:
            check_memory(program, shots)
        started = time.perf_counter()
        features = program.features
        ideal: NDArray[np.float64] | None = None
        if not features.dynamic and features.active_qubits <= COMPARABLE_QUBITS:
            ideal = self.distribution(program)
        readout = readout_of(program.circuit)
        if ideal is not None and method == "statevector":
            outcomes, counts = sample(ideal, shots, generator(seed, "counts"))
            keys = [int(key) for key in readout.keys(outcomes)]
        else:
            keys, counts = self._sample(program, shots, seed, method)
            outcomes = readout.indices(keys) if ideal is not None else np.empty(0, dtype=np.int64)
        fidelity: float = 1.0
        how: FidelityMethod = "exact"
        if ideal is not None and is_comparable(ideal, shots):
            fidelity, how = hellinger_fidelity(ideal, outcomes, counts), "ideal_comparison"
        labelled = _labelled(program, keys, counts.tolist())
        return Outcome(
            counts=labelled,
            probabilities=_probabilities(program, ideal) if with_probabilities and ideal is not None else None,
            shots=shots,
            seed=seed,
            engine=ENGINE,
            engine_version=qiskit_aer.__version__,
            method=method,
            duration_ms=(time.perf_counter() - started) * 1e3,
            fidelity=fidelity,
            fidelity_method=how,
            memory=shuffled(labelled, generator(seed, "memory")) if with_memory else None,
        )

    def distribution(self, program: Program) -> NDArray[np.float64]:
        """Return the exact probabilities of the measured qubits of a program that is not dynamic.

        The index of an outcome is that of `readout_of`. Raises EngineError.
        """
        circuit = program.circuit
        measured = readout_of(circuit).qubits
        bare, place = _compact(circuit, with_measurements=False)
        bare.save_probabilities([place[qubit] for qubit in measured])
        data = self._execute(bare, "statevector", shots=1, seed=0)
        return cast("NDArray[np.float64]", np.asarray(data["probabilities"], dtype=np.float64))

    def statevector(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the final state of a flat circuit without measurements, qubit 0 lowest.

        Raises EngineError, for the methods stabilizer and density_matrix always: they keep no amplitudes.
        """
        if method in {"stabilizer", "density_matrix"}:
            raise EngineError("UNSUPPORTED", f"method {method} has no amplitudes; use statevector")
        saved = circuit.copy()
        saved.save_statevector()
        data = self._execute(saved, method, shots=1, seed=0)
        return cast("NDArray[np.complex128]", np.asarray(data["statevector"]))

    def _check(self, program: Program, method: Method) -> None:
        features = program.features
        if method == "stabilizer" and not features.clifford:
            raise EngineError("NOT_CLIFFORD", "the circuit has gates outside the Clifford group")
        if method not in _WIDEST:
            raise EngineError("UNSUPPORTED", f"{ENGINE} has no method {method}; it has {', '.join(_WIDEST)}")
        widest = self.capabilities.max_qubits[method]
        if features.active_qubits > widest:
            message = f"{features.active_qubits} qubits are more than the {widest} of method {method} here"
            raise EngineError("OUT_OF_MEMORY", message)
        needed = memory_bytes(features, method)
        if needed > self._memory_limit:
            message = f"method {method} may need {needed} bytes for this circuit; {self._memory_limit} are allowed"
            raise EngineError("OUT_OF_MEMORY", message)

    def _sample(self, program: Program, shots: int, seed: int, method: Method) -> tuple[list[int], NDArray[np.int64]]:
        circuit, _ = _compact(program.circuit, with_measurements=True)
        if method == "stabilizer":
            circuit = _to_generators(circuit)
        data = self._execute(circuit, method, shots=shots, seed=spread_seed(seed, "aer"))
        counted = sorted((int(key, 16), count) for key, count in data["counts"].items())
        return [key for key, _ in counted], np.array([count for _, count in counted], dtype=np.int64)

    def _execute(self, circuit: QuantumCircuit, method: Method, *, shots: int, seed: int) -> Mapping[str, Any]:
        try:
            result = self._simulators[method].run(circuit, shots=shots, seed_simulator=seed).result()
        except AerError as error:
            raise EngineError("ENGINE_FAULT", f"Aer refused the circuit: {error.message}") from error
        if not result.success:
            raise EngineError("ENGINE_FAULT", f"Aer failed: {result.status}")
        return cast("Mapping[str, Any]", result.data(0))


def _compact(circuit: QuantumCircuit, *, with_measurements: bool) -> tuple[QuantumCircuit, Mapping[int, int]]:
    """Return a circuit on its used qubits alone, without barriers and delays, and where each used qubit went.

    With measurements all classical bits and registers stay, without them there are none.
    """
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    kept = [item for item in circuit.data if item.name not in DIRECTIVES]
    used = sorted({index[bit] for item in kept for bit in item.qubits})
    place = {qubit: new for new, qubit in enumerate(used)}
    compact = QuantumCircuit(len(used))
    if with_measurements:
        compact.add_bits(circuit.clbits)
        compact.add_register(*circuit.cregs)
    for item in kept:
        if with_measurements or item.name != "measure":
            compact.append(item.operation, [place[index[bit]] for bit in item.qubits], item.clbits, copy=False)
    return compact, place


def _to_generators(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a Clifford circuit with its rotations written in the gates that the stabilizer method knows."""
    if all(item.name in _NOT_REWRITTEN for item in circuit.data):
        return circuit
    rewritten = circuit.copy_empty_like()
    for item in circuit.data:
        if item.is_control_flow():
            blocks = [_to_generators(block) for block in item.operation.blocks]
            rewritten.append(item.operation.replace_blocks(blocks), item.qubits, item.clbits, copy=False)
        elif item.name in _NOT_REWRITTEN:
            rewritten.append(item, copy=False)
        else:
            form = clifford_form(item.name, tuple(float(angle) for angle in item.params))
            if form is None:
                raise EngineError("NOT_CLIFFORD", f"gate {item.name} is outside the Clifford group")
            rewritten.compose(form, item.qubits, inplace=True)
    return rewritten


def _labelled(program: Program, keys: Sequence[int], counts: Sequence[int]) -> Mapping[str, int]:
    return {bit_string(program, key): count for key, count in zip(keys, counts, strict=True)}


def _probabilities(program: Program, ideal: NDArray[np.float64]) -> Mapping[str, float] | None:
    """Return the possible outcomes with their probabilities, None where they are too many."""
    possible = np.flatnonzero(ideal > IMPOSSIBLE)
    if len(possible) > MOST_PROBABILITIES:
        return None
    keys = readout_of(program.circuit).keys(possible)
    return {bit_string(program, int(key)): float(ideal[index]) for key, index in zip(keys, possible, strict=True)}
