"""Qiskit Aer, warm, on a fixed number of threads: the engine that runs every circuit, by four methods."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import qiskit_aer
from qiskit.circuit import QuantumCircuit
from qiskit_aer import AerError, AerSimulator

from services.execution.engines.assembled import AssembledAer
from services.execution.engines.chain import sample_chain
from services.execution.engines.engine import COMPARABLE_QUBITS, Capabilities, EngineError, Method, memory_bytes
from services.execution.engines.memory import available_memory
from services.execution.engines.sampling import distinct, generator
from services.execution.engines.seeds import spread_seed
from services.execution.engines.simulating import Draw, Simulating, draw_from
from services.execution.programs.clifford import GENERATORS, clifford_form
from services.execution.programs.flatten import DIRECTIVES, STANDARD_GATES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "qiskit-aer"
_WIDEST: Mapping[Method, int] = {
    "statevector": 29,
    "stabilizer": 256,
    "matrix_product_state": 1_024,
    "density_matrix": 14,
}
_BYTES = 16
"""For each amplitude of a state vector, and each entry of a density matrix."""
_EXACT: frozenset[Method] = frozenset({"statevector", "density_matrix"})
_WITH_AMPLITUDES: frozenset[Method] = frozenset({"statevector", "matrix_product_state"})
_KNOWN_TO_ALL = frozenset(
    {"measure", "reset", "break_loop", "continue_loop"}
    | {"save_probabilities", "save_statevector", "save_matrix_product_state", "set_matrix_product_state"}
)
_KNOWN: Mapping[Method, frozenset[str]] = {
    "statevector": STANDARD_GATES | _KNOWN_TO_ALL,
    "matrix_product_state": STANDARD_GATES | _KNOWN_TO_ALL,
    "density_matrix": STANDARD_GATES - {"csx", "cswap"} | _KNOWN_TO_ALL,
    "stabilizer": GENERATORS | _KNOWN_TO_ALL,
}
"""What each method runs as it is; `test_engines` walks every gate through every method."""


class AerEngine(Simulating):
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
                enable_truncation=False,  # it drops jump targets after the last measurement; `compact` does its work
            )
            for method in _WIDEST
        }
        self._assembled = {
            method: AssembledAer(method, threads=threads, memory_bytes=memory_limit) for method in _WITH_AMPLITUDES
        }
        widest = dict(_WIDEST)
        bits = (memory_limit // (_BYTES + 1)).bit_length() - 1
        widest["statevector"] = min(widest["statevector"], bits)
        widest["density_matrix"] = min(widest["density_matrix"], bits // 2)
        methods = frozenset(widest)
        self.capabilities = Capabilities(ENGINE, qiskit_aer.__version__, widest, dynamic=methods, branching=methods)

    def check(self, program: Program, method: Method) -> None:
        """Refuse also what the method may need too much memory for. Raises EngineError."""
        super().check(program, method)
        needed = memory_bytes(program.features, method)
        if needed > self._memory_limit:
            message = f"method {method} may need {needed} bytes for this circuit; {self._memory_limit} are allowed"
            raise EngineError("OUT_OF_MEMORY", message)

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:
        """Sample the exact distribution where the method has it and it is small enough, else let Aer draw."""
        features = program.features
        if method in _EXACT and not features.dynamic and features.active_qubits <= COMPARABLE_QUBITS:
            found = self._probabilities(program.tape, readout, method)
            return draw_from(np.asarray(found, dtype=np.float64), readout, shots, seed)
        if method == "matrix_product_state" and not features.dynamic:
            return self._draw_chain(program.tape, readout, shots, seed)
        circuit = compact(program.circuit)
        data = self.execute(circuit, method, shots=shots, seed=spread_seed(seed, "aer"))
        counted = sorted((int(key, 16), count) for key, count in data["counts"].items())
        return Draw(
            rows_of([key for key, _ in counted], readout.num_clbits),
            np.array([count for _, count in counted], dtype=np.int64),
        )

    def _probabilities(self, tape: Tape, readout: Readout, method: Method) -> Any:  # noqa: ANN401 - Aer has no types
        if method in self._assembled:
            return self._assembled[method].run(tape, "probabilities", readout.qubits)
        bare = gates_of(tape)
        bare.save_probabilities(readout.qubits)
        return self.execute(bare, method, shots=1, seed=0)["probabilities"]

    def _draw_chain(self, tape: Tape, readout: Readout, shots: int, seed: int) -> Draw:
        """Sample a matrix product state here: Aer itself takes ten times as long, qubit by qubit for each shot."""
        assembled = self._assembled["matrix_product_state"]
        return draw_chain(assembled.run(tape, "matrix_product_state", range(tape.width)), readout, shots, seed)

    def amplitudes(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the state at the end of a circuit, by the methods that keep one."""
        if method not in _WITH_AMPLITUDES:
            return super().amplitudes(circuit, method)
        saved = circuit.copy()
        saved.save_statevector()
        data = self.execute(saved, method, shots=1, seed=0)
        return np.asarray(data["statevector"], dtype=np.complex128)

    def execute(self, circuit: QuantumCircuit, method: Method, *, shots: int, seed: int) -> Mapping[str, Any]:
        """Return the data of one run of a circuit. Raises EngineError."""
        try:
            known = _rewritten(circuit, _KNOWN[method])
            result = self._simulators[method].run(known, shots=shots, seed_simulator=seed).result()
        except AerError as error:
            raise EngineError("ENGINE_FAULT", f"Aer refused the circuit: {error.message}") from error
        if not result.success:
            raise EngineError("ENGINE_FAULT", f"Aer failed: {result.status}")
        return cast("Mapping[str, Any]", result.data(0))


def draw_chain(state: Any, readout: Readout, shots: int, seed: int) -> Draw:  # noqa: ANN401 - Aer's
    """Sample a matrix product state of the qubits of a tape."""
    tensors, weights = state
    found, counts = sample_chain(tensors, weights, shots, generator(seed, "counts"))
    rows = np.zeros((len(found), readout.num_clbits), dtype=np.uint8)
    rows[:, readout.clbits] = found[:, [readout.qubits[place] for place in readout.places]]
    return Draw(*distinct(rows, counts))


def rows_of(keys: list[int], num_clbits: int) -> NDArray[np.uint8]:
    """Return a row of classical bits for each of Aer's integers over them."""
    length = -(-num_clbits // 8)
    packed = np.frombuffer(b"".join(key.to_bytes(length, "little") for key in keys), dtype=np.uint8)
    return np.unpackbits(packed.reshape(len(keys), length), axis=1, count=num_clbits, bitorder="little")


def gates_of(tape: Tape) -> QuantumCircuit:
    """Return the gates of a flat tape, on its qubits."""
    circuit = QuantumCircuit(tape.width)
    for name, qubits, angles, _ in tape.operations():
        if name != "measure":
            _ADD[name](circuit, *angles, *qubits)
    return circuit


def compact(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit on its used qubits alone, without barriers and delays; all classical bits and registers stay."""
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    kept = [item for item in circuit.data if item.name not in DIRECTIVES]
    used = sorted({index[bit] for item in kept for bit in item.qubits})
    if len(used) == circuit.num_qubits and len(kept) == len(circuit.data):
        return circuit
    place = {qubit: new for new, qubit in enumerate(used)}
    compact = QuantumCircuit(len(used))
    compact.add_bits(circuit.clbits)
    compact.add_register(*circuit.cregs)
    for item in kept:
        compact.append(item.operation, [place[index[bit]] for bit in item.qubits], item.clbits, copy=False)
    return compact


def _rewritten(circuit: QuantumCircuit, known: frozenset[str]) -> QuantumCircuit:
    """Return a circuit whose gates are all known to the method: Clifford forms and definitions for the others."""
    if all(item.name in known for item in circuit.data):
        return circuit
    rewritten = circuit.copy_empty_like()
    for item in circuit.data:
        if item.is_control_flow():
            blocks = [_rewritten(block, known) for block in item.operation.blocks]
            rewritten.append(item.operation.replace_blocks(blocks), item.qubits, item.clbits, copy=False)
        elif item.name in known:
            rewritten.append(item, copy=False)
        else:
            form = clifford_form(item.name, tuple(float(angle) for angle in item.params))
            form = item.operation.definition if form is None else form
            rewritten.compose(_rewritten(form, known), item.qubits, inplace=True)
    return rewritten


_ADD: Mapping[str, Callable[..., object]] = {
    **{name: getattr(QuantumCircuit, name) for name in STANDARD_GATES - {"u1", "u2", "u3"}},
    "u1": QuantumCircuit.p,
    "u2": lambda circuit, phi, lam, qubit: circuit.u(pi / 2, phi, lam, qubit),
    "u3": QuantumCircuit.u,
}
