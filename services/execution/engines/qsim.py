"""qsim: state vectors of single precision, gates fused before they are applied; the fastest from about 12 qubits on.

Its C++ extension is loaded by itself: the package around it imports all of Cirq, which takes seconds, and translates
circuits slowly. The extension is no public interface, so the version is pinned and `test_engines` walks every gate.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.engines.engine import COMPARABLE_QUBITS, Capabilities, Method
from services.execution.engines.matrices import Matrix, matrix
from services.execution.engines.sampling import distinct, generator, marginal, sample_amplitudes
from services.execution.engines.simulating import Draw, Simulating, draw_from
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "qsimcirq"
_WIDEST = 30
_BYTES = 8
"""For each amplitude; sampling past COMPARABLE_QUBITS adds none."""
_WIDE = 13
"""Qubits from which fusing gates on three of them pays (measured: 10 to 30 % of brickwork and Fourier transforms)."""
_INSTRUCTIONS = ("avx512", "avx2", "sse", "basic")
"""What `qsim_decide.detect_instructions` counts, from 0."""


def _extension(name: str) -> ModuleType:
    package = importlib.util.find_spec("qsimcirq")
    if package is None or package.origin is None:
        raise ImportError("qsimcirq is not installed")
    (file,) = Path(package.origin).parent.glob(f"{name}.*.so")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no extension")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_qsim: Any = _extension(f"qsim_{_INSTRUCTIONS[_extension('qsim_decide').detect_instructions()]}")


class QsimEngine(Simulating):
    """Noise-free simulation by state vector; `memory_limit` bounds in bytes what a run may need."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:
        """Keep the number of threads of a run."""
        self._threads = threads
        widest = min(_WIDEST, (memory_limit // _BYTES).bit_length() - 2)
        self.capabilities = Capabilities(ENGINE, version(ENGINE), {"statevector": widest}, precision="single")

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the distribution where it is small enough to hold, else the state, block by block."""
        tape = program.tape
        if tape.width <= COMPARABLE_QUBITS:
            parts = self._state(tape).astype(np.float64)
            weights = marginal(parts[0::2] ** 2 + parts[1::2] ** 2, readout.qubits)
            return draw_from(weights / weights.sum(), readout, shots, seed)
        states, counts = sample_amplitudes(self._state(tape), shots, generator(seed, "counts"))
        indices = (states[:, None] >> np.array(readout.qubits) & 1) @ (1 << np.arange(len(readout.qubits)))
        return Draw(*distinct(readout.rows(indices), counts))

    def amplitudes(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:  # noqa: ARG002 - it has one
        """Return the state at the end of a circuit, to single precision."""
        state = self._state(tape_of(circuit, with_idle=True)).view(np.complex64).astype(np.complex128)
        return np.asarray(state * np.exp(1j * circuit.global_phase))

    def _state(self, tape: Tape) -> NDArray[np.float32]:
        """Return real and imaginary parts by turns, qubit 0 lowest."""
        state = np.asarray(_qsim.qsim_simulate_fullstate(self._options(tape), 0), dtype=np.float32)
        return state[: 2 << tape.width]

    def _options(self, tape: Tape) -> dict[str, Any]:
        """Return what the library wants to know of a run, by its own letters."""
        return {
            "c": transcode(tape),
            "s": 0,
            "t": self._threads,
            "f": 2 if tape.width < _WIDE else 3,
            "r": 1,
            "g": False,
            "gmode": 0,
            "gsst": 512,
            "gdb": 16,
            "v": 0,
            "z": False,
        }


def transcode(tape: Tape) -> Any:  # noqa: ANN401 - the extension has no types
    """Return the gates of a tape as matrices; the library fuses them anyway."""
    circuit = _qsim.Circuit()
    circuit.num_qubits = tape.width
    for time, (name, qubits, angles, _) in enumerate(tape.operations()):
        if name not in {"id", "measure"}:
            _qsim.add_matrix_gate(time, list(qubits[::-1]), _parts(matrix(name, angles)), circuit)
    return circuit


def _parts(rows: Matrix) -> list[float]:
    return [part for row in rows for entry in row for part in (entry.real, entry.imag)]
