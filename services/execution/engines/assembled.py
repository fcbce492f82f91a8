"""Aer's simulator without qiskit's circuits in between: its own circuit is made from a tape, gate by gate.

Appending to a qiskit circuit and assembling that takes 25 µs a gate, more than most gates take to run; this takes 1.
Aer's circuit is no public interface, so the version is pinned and `test_engines` walks every gate.
"""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any, cast

from qiskit_aer.backends.aer_compiler import CircuitHeader
from qiskit_aer.backends.backend_utils import LIBRARY_DIR
from qiskit_aer.backends.controller_wrappers import AerCircuit, AerConfig, aer_controller_execute

from services.execution.engines.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.execution.engines.engine import Method
    from services.execution.programs.tape import Tape

_SAVED = "saved"
_SUBTYPES: Mapping[str, str] = {"probabilities": "average", "matrix_product_state": "single"}
_UNCONDITIONED = -1
_NAMES: Mapping[str, str] = {"u1": "p", "u3": "u"}


class AssembledAer:
    """Runs flat tapes without noise and without measurements midway, and saves what they end in."""

    def __init__(self, method: Method, *, threads: int, memory_bytes: int) -> None:
        """Make the controller, once for all runs."""
        self._controller = aer_controller_execute()
        self._config = config = AerConfig()
        config.method = method
        config.max_parallel_threads = threads
        config.max_memory_mb = max(1, memory_bytes // 2**20)
        config.library_dir = LIBRARY_DIR
        config.shots = 1

    def run(self, tape: Tape, save: str, qubits: Sequence[int], *, begin: Any = None) -> Any:  # noqa: ANN401 - Aer has no types
        """The "probabilities" of these qubits at the end, or the "matrix_product_state". Raises EngineError.

        `begin` is the matrix product state to begin with, else all qubits are in |0>.
        """
        self._config.n_qubits = tape.width
        output = self._controller.execute([_circuit(tape, save, qubits, begin)], {}, self._config)
        if not isinstance(output, dict) or not output["success"]:
            raise EngineError("ENGINE_FAULT", f"Aer failed: {_status(output)}")
        return output["results"][0]["data"][_SAVED]


def _status(output: Any) -> str:  # noqa: ANN401 - as above
    if not isinstance(output, dict):
        return "it gave no answer"
    results = cast("Sequence[Mapping[str, str]]", output.get("results") or ({},))
    return results[0].get("status", output.get("status", "it does not say why"))


def _circuit(tape: Tape, save: str, qubits: Sequence[int], begin: Any) -> AerCircuit:  # noqa: ANN401 - as above
    width = tape.width
    circuit = AerCircuit()
    circuit.set_header(CircuitHeader(n_qubits=width, memory_slots=0, name="", global_phase=0.0))
    circuit.num_qubits = width
    circuit.num_memory = 0
    circuit.circ_id = 0
    circuit.shots = 1
    if begin is not None:
        circuit.set_matrix_product_state(range(width), [begin])
    add = circuit.gate
    for name, operands, angles, _ in tape.operations():
        if name == "u2":
            add("u", operands, (pi / 2, *angles), (), _UNCONDITIONED, None, name)
        elif name != "measure":
            add(_NAMES.get(name, name), operands, angles, (), _UNCONDITIONED, None, name)
    circuit.save_state(qubits, f"save_{save}", _SUBTYPES[save], _SAVED)
    return circuit
